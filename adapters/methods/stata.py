"""StatA, transductive: Gaussians of the queries that the texts hold where a class has few (2025).

    z_i ~ y_i exp(-(1/100) sum_d [(f_i - mu_c)^2 / v_c + log v_c] + p_i)
    p_i = (1 / 2k) sum_j (w_ij + w_ji) z_j
    mu_c = unit(b unit(mean_z f) + (1 - b) t_c),   b = n_c / (n_c + 1)
    v_c = b var_z + (1 - b) (v_0 + (t_c - mu_c)^2)

y_i = softmax(s f_i T^T), f_i the unit queries, t_c the unit class texts, w_ij the cosine for the
k = 3 nearest other queries, n_c the queries whose largest z is c, v_0 `[d]` the spread of all
queries around the texts, var_z the spread around mu_c. Ten rounds of five steps of z, then of mu
and v; the answer is log z. Zanella et al. 2025 (MaxZanella/StatA@eea8637), written from its
equations, as the code is AGPL-3.0; that divides v_0 once a chunk where there are over 2,500
queries, which is not so here.

Nothing is learned of the support and nothing is chosen. Transductive: the answer to one query
depends on the others that are given with it, so that rows stand in a table of their own; it holds
where few of the classes occur among them. Uses of the cache: text.
"""

from __future__ import annotations

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor, tensor
from torch.nn.functional import normalize

from adapters.episode import Episode, Text
from adapters.maths import neighbours
from adapters.method import Method, State

LEAST = 1e-8  # of a variance
SHARPNESS = 0.01  # of the Gaussians beside what the texts say


@dataclass(frozen=True)
class Config:
    """Settings of StatA."""

    neighbours: int = Field(3, ge=0, description="nearest queries that pull on a query")
    rounds: int = Field(10, ge=1, description="updates of means and variances")
    steps: int = Field(5, ge=1, description="updates of the answers a round")


def fit(episode: Episode, config: Config, generator: Generator) -> State:
    """The texts; all else is of the queries."""
    return {"text": episode.text.unit(), "logit_scale": tensor(episode.logit_scale)}


def logits(state: State, config: Config, x: Tensor) -> Tensor:
    """Log-probabilities `[q, c]` of raw embeddings `x [q, d]`, taken together."""
    f, text = normalize(x, dim=-1), state["text"]
    said = (state["logit_scale"] * f @ text.T).log_softmax(1)  # [q, c]
    near = neighbours.nearest(f, config.neighbours)
    count = max(near[0].shape[1], 1)
    z = said.exp()
    means, start = text, (_spread(f, z, text) * z.sum(0)[:, None]).sum(0) / len(f)  # [c, d], [d]
    spread = start.clamp(min=LEAST).expand_as(text)
    for _ in range(config.rounds):
        prior = said - SHARPNESS * _distance(f, means, spread)
        for _ in range(config.steps):
            both = neighbours.pull(z, *near) + neighbours.pulled(z, *near)
            scores = prior + both / (2 * count)
            z = scores.softmax(1)
        counts = torch.bincount(z.argmax(1), minlength=len(text)).to(f)
        share = (counts / (counts + 1))[:, None]  # [c, 1]
        own = normalize(z.T @ f, dim=-1)
        means = normalize(share * own + (1 - share) * text, dim=-1)
        held = start + (text - means).square()
        spread = (share * _spread(f, z, means) + (1 - share) * held).clamp(min=LEAST)
    return scores.log_softmax(1)


def _spread(f: Tensor, z: Tensor, means: Tensor) -> Tensor:
    """The mean of (f - mu_c)^2 by z `[c, d]`."""
    mass = z.sum(0).clamp(min=LEAST)[:, None]  # [c, 1]
    squares, sums = z.T @ f.square() / mass, z.T @ f / mass
    return squares - 2 * means * sums + means.square() * (z.sum(0)[:, None] / mass)


def _distance(f: Tensor, means: Tensor, spread: Tensor) -> Tensor:
    """sum_d [(f - mu_c)^2 / v_c + log v_c] `[q, c]`."""
    square = f.square() @ (1 / spread).T - 2 * f @ (means / spread).T
    return square + (means.square() / spread + spread.log()).sum(1)


def with_text(state: State, config: Config, text: Text) -> State:
    """The same for other classes."""
    return {**state, "text": text.unit()}


method = Method(
    config=Config,
    fit=fit,
    logits=logits,
    with_text=with_text,
    transductive=True,
    support_free=True,
    source="Zanella et al. 2025, MaxZanella/StatA",
    status="clean-room; **transductive**: answers depend on the whole query set; no support",
)
