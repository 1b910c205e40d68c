"""The cache of the APE family: a key-value cache on the channels that tell classes apart.

    I_k = -w_s mean_{c != c'} m_ck m_c'k + w_v var_c(t_ck)            the importance of channel k
    logits = s f T^T + alpha exp(-beta (1 - f' F'^T)) diag(v exp(gamma KL)) Y
    KL_i = KL(y_i || softmax(s F'_i T'^T)) = -log softmax(...)_{y_i}

m `[c, d]` are class means of the unit vectors that importance is read from, t the class texts;
primes mean: the best channels only, normalised again. v `[n]` are 1 or trained. Y is never built:
what it does is a sum over the rows of each class, whatever their order.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, tensor
from torch.nn.functional import cross_entropy, normalize

from adapters.episode import Episode
from adapters.maths import kernels, winners
from adapters.method import Axes, ChoiceHits, ChoiceLogits, Counter, Space, State

BETAS, ALPHAS = 8, 10
GAMMAS = (0.0, 0.05, 0.2)


@dataclass(frozen=True)
class ChannelConfig:
    """Settings of a cache on chosen channels."""

    alpha: float = Field(2.0, ge=0, description="weight of the cache beside the text")
    beta: float = Field(1.0, ge=0, description="sharpness of the affinity to a key")
    gamma: float = Field(0.1, description="weight of a picture's divergence from the text's answer")
    alpha_scale: float = Field(10.0, ge=0.1, description="upper end of the search over alpha")
    beta_scale: float = Field(12.0, ge=0.1, description="upper end of the search over beta")
    share: float = Field(0.7, gt=0, le=1, description="Q / d, share of the channels kept")
    similarity: float = Field(0.7, ge=0, description="w_s, weight of similarity between classes")
    variance: float = Field(0.3, ge=0, description="w_v, weight of variance between class texts")
    importance_from: Literal["text", "text and pictures"] = Field(
        "text", description="whose class means the similarity is read from"
    )


def start(episode: Episode, config: ChannelConfig) -> State:
    """The cache before any training."""
    text, keys, labels = episode.text.unit(), episode.support.keys(), episode.support.labels
    score = importance(text, keys, labels, config)  # [d]
    kept = max(round(config.share * len(score)), 1)
    channels = score.topk(kept).indices.sort().values  # [k]
    state = {"channels": channels, "text": text, "logit_scale": tensor(episode.logit_scale)}
    few = restrict(state, keys)  # [n, k]
    answer = state["logit_scale"] * few @ restrict(state, text).T  # [n, c]
    weights = episode.support.weights
    return {
        **state,
        "keys": few,
        "labels": labels,
        "weights": torch.ones_like(few[:, 0]) if weights is None else weights,  # [n]
        "divergence": cross_entropy(answer, labels, reduction="none"),  # [n]
    }


def importance(text: Tensor, keys: Tensor, labels: Tensor, config: ChannelConfig) -> Tensor:
    """How well each channel tells the classes apart `[d]`."""
    classes = len(text)
    means = text  # [c, d]
    if config.importance_from == "text and pictures":
        counts = torch.bincount(labels, minlength=classes)[:, None] + 1
        means = (text + kernels.class_sums(keys, labels, classes)) / counts
    # The sum over pairs of different classes, without a loop over pairs.
    pairs = means.sum(0).square() - means.square().sum(0)
    between = pairs / max(classes * (classes - 1), 1)
    return config.variance * text.var(0) - config.similarity * between


def restrict(state: State, x: Tensor) -> Tensor:
    """The kept channels of `x [..., d]`, normalised `[..., k]`."""
    return normalize(x[..., state["channels"]], dim=-1)


def from_text(state: State, f: Tensor) -> Tensor:
    """The text's share of the logits `[q, c]`."""
    return state["logit_scale"] * f @ state["text"].T


def nearness(state: State, few: Tensor) -> Tensor:
    """Cosines less 1 of all keys with restricted queries `few [q, k]`, `[n, q]`."""
    return state["keys"] @ few.T - 1


def from_cache(state: State, near: Tensor, beta: float, gamma: float) -> Tensor:
    """The cache's share `[q, c]`, before alpha, by their `nearness`."""
    labels, classes = state["labels"], len(state["text"])
    return kernels.class_affinity(near, labels, classes, beta, weights(state, gamma)).T


def weights(state: State, gamma: float) -> Tensor:
    """What each picture counts `[n]`: v exp(gamma KL)."""
    counted: Tensor = state["weights"] * (gamma * state["divergence"]).exp()
    return counted


def blend(state: State, config: ChannelConfig, f: Tensor) -> Tensor:
    """Scores `[q, c]` of unit embeddings `f [q, d]`."""
    near = nearness(state, restrict(state, f))
    cache = from_cache(state, near, config.beta, config.gamma)
    return from_text(state, f) + config.alpha * cache


def logits(state: State, config: ChannelConfig, x: Tensor) -> Tensor:
    """Scores `[q, c]` of raw embeddings `x [q, d]`."""
    return blend(state, config, normalize(x, dim=-1))


def space(config: ChannelConfig) -> Space:
    """Tip-Adapter's ranges of beta and alpha, fewer values of each, and three of gamma."""
    betas, alphas = _spread(config.beta_scale, BETAS), _spread(config.alpha_scale, ALPHAS)
    return Space(logits={"beta": betas, "gamma": GAMMAS, "alpha": alphas})


def _spread(scale: float, steps: int) -> tuple[float, ...]:
    return tuple(0.1 + i * (scale - 0.1) / steps for i in range(steps))


def logits_over(state: State, config: ChannelConfig, x: Tensor, axes: Axes) -> ChoiceLogits:
    """Every beta, gamma and alpha; one sum over classes a beta and gamma."""
    for beta, gamma, text, cache in _lines(state, config, x, axes):
        for alpha in axes.get("alpha", [config.alpha]):
            yield _named(axes, beta, gamma, alpha), text + alpha * cache


def hits_over(state: State, config: ChannelConfig, axes: Axes) -> Counter:
    """The hits of all those, in which the logits are linear in alpha."""
    return partial(_hits, state, config, axes)


def _hits(state: State, config: ChannelConfig, axes: Axes, x: Tensor, labels: Tensor) -> ChoiceHits:
    alphas = axes.get("alpha", [config.alpha])
    for beta, gamma, text, cache in _lines(state, config, x, axes):
        found = winners.hits_along(text, cache, alphas, labels)
        for alpha, hits in zip(alphas, found, strict=True):
            yield _named(axes, beta, gamma, alpha), hits


def _lines(
    state: State, config: ChannelConfig, x: Tensor, axes: Axes
) -> Iterator[tuple[float, float, Tensor, Tensor]]:
    """Every beta and gamma with the two parts of their logits `[q, c]`, without alpha."""
    f = normalize(x, dim=-1)
    text, near = from_text(state, f), nearness(state, restrict(state, f))
    for beta in axes.get("beta", [config.beta]):
        for gamma in axes.get("gamma", [config.gamma]):
            yield beta, gamma, text, from_cache(state, near, beta, gamma)


def _named(axes: Axes, beta: float, gamma: float, alpha: float) -> dict[str, Any]:
    choice = {"beta": beta, "gamma": gamma, "alpha": alpha}
    return {name: choice[name] for name in axes}
