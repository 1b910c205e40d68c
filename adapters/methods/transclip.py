"""TransCLIP, transductive: one Gaussian mixture over all queries, texts and support (2024).

    z_i ~ softmax(log p(f_i | mu, Sigma) + sum_j w_ij z_j + lambda log y_i)
    mu_c = mean of f weighted by z_c / q (queries) and gamma y_c / n (support);  Sigma likewise

arXiv 2406.01837, sections 3 and 4; clean-room from a description of the paper, as the released code
is AGPL-3.0. f are unit query embeddings, y_i = softmax(s f_i T^T) what the texts say, w_ij the
cosine for the three nearest other queries, gamma the support's weight, Sigma diagonal and shared.
Ten rounds of five steps of z, then of mu and Sigma; the answer is log z. gamma 0 is zero-shot
TransCLIP (take lambda 1).

Transductive: the answer to one query depends on the others that are given with it, so that rows
stand in a table of their own. Differs from the source: gamma is chosen on validation pictures that
are themselves the query set, where the source finds each one's nearest test picture; classes and
shots need not be balanced. Uses of the cache: the views of each support picture (their mean), text.
"""

from __future__ import annotations

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor, tensor
from torch.nn.functional import normalize

from adapters.episode import Episode
from adapters.maths import kernels, neighbours
from adapters.method import Method, Space, State


@dataclass(frozen=True)
class Config:
    """Settings of TransCLIP."""

    support_weight: float = Field(0.02, ge=0, description="gamma, of the support; 0 is zero-shot")
    text_weight: float = Field(0.5, ge=0, description="lambda, of the texts' answer")
    neighbours: int = Field(3, ge=0, description="nearest queries that pull on a query")
    rounds: int = Field(10, ge=1, description="updates of means and variances")
    steps: int = Field(5, ge=1, description="updates of the answers a round")
    confident: int = Field(8, ge=1, description="surest queries that start a mean at gamma 0")


def fit(episode: Episode, config: Config, generator: Generator) -> State:
    """The support's sums; the mixture itself is fitted to the queries."""
    keys, labels = episode.support.keys(), episode.support.labels
    return {
        "sums": kernels.class_sums(keys, labels, episode.classes) / len(keys),  # [c, d]
        "squares": keys.square().mean(0),  # [d]
        "shares": torch.bincount(labels, minlength=episode.classes).to(keys) / len(keys),  # [c]
        "text": episode.text.unit(),  # [c, d]
        "logit_scale": tensor(episode.logit_scale),
    }


def logits(state: State, config: Config, x: Tensor) -> Tensor:
    """Log-probabilities `[q, c]` of raw embeddings `x [q, d]`, taken together."""
    f = normalize(x, dim=-1)
    text = (state["logit_scale"] * f @ state["text"].T).log_softmax(1)  # [q, c]
    index, weight = neighbours.nearest(f, config.neighbours)
    means, variance = _start(state, config, f, text)
    z = text.exp()
    for _ in range(config.rounds):
        prior = _likelihood(f, means, variance) + config.text_weight * text
        for _ in range(config.steps):
            scores = prior + neighbours.pull(z, index, weight)
            z = scores.softmax(1)
        means, variance = _moments(state, config, f, z)
    return scores.log_softmax(1)


def _start(state: State, config: Config, f: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
    """Means of the support, or of the surest queries without it; variance 1 / d."""
    if config.support_weight:
        means = state["sums"] / state["shares"].clamp(min=1e-12)[:, None]
    else:
        surest = text.topk(min(config.confident, len(f)), dim=0).indices  # [k, c]
        means = f[surest].mean(0)
    return means, f.new_full(f.shape[1:], 1 / f.shape[1])


def _likelihood(f: Tensor, means: Tensor, variance: Tensor) -> Tensor:
    """Log p(f | c) `[q, c]` but for what all classes share."""
    scaled = means / variance
    return f @ scaled.T - (scaled * means).sum(1) / 2


def _moments(state: State, config: Config, f: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Means `[c, d]` and the shared diagonal variance `[d]` of queries and support."""
    gamma = config.support_weight
    mass = z.mean(0) + gamma * state["shares"]  # [c]
    sums = z.T @ f / len(f) + gamma * state["sums"]  # [c, d]
    means = sums / mass.clamp(min=1e-12)[:, None]
    squares = f.square().mean(0) + gamma * state["squares"]  # [d]
    variance = (squares - (means * sums).sum(0)) / (1 + gamma)
    return means, variance.clamp(min=1e-8)


def space(config: Config) -> Space:
    """The published weights of the support."""
    return Space(logits={"support_weight": (0.002, 0.01, 0.02, 0.2)})


method = Method(
    config=Config,
    fit=fit,
    logits=logits,
    space=space,
    transductive=True,
    source="arXiv 2406.01837",
    status="clean-room; **transductive**: answers depend on the whole query set",
)
