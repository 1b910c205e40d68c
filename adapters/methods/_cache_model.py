"""The key-value cache of the Tip-Adapter family, and the released search over its two settings.

    logits = s f T^T + alpha exp(-beta (1 - f X^T)) Y

f `[q, d]` unit queries, T `[c, d]` unit class texts, X `[n, d]` keys, Y `[n, c]` their one-hot
labels, s CLIP's logit scale. Y is never built: what it does is a sum over the keys of each class.
The logits are linear in alpha, and the exponential depends on beta alone. As a function of beta it
is so smooth that a few dozen of them give hundreds in between, to float32's rounding
(`adapters.maths.chebyshev`), so a search over 200 values of beta costs about 30 exponentials.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, tensor
from torch.nn.functional import normalize

from adapters.episode import Episode
from adapters.maths import chebyshev, kernels, winners
from adapters.method import Axes, ChoiceHits, ChoiceLogits, Counter, Space, State

BETAS, ALPHAS = 200, 20
MOST = 0.3  # of f X^T - 1, for which interpolation over beta is tested


@dataclass(frozen=True)
class CacheConfig:
    """Settings that every cache model has."""

    alpha: float = Field(2.0, ge=0, description="weight of the cache beside the text")
    beta: float = Field(1.0, ge=0, description="sharpness of the affinity to a key")
    alpha_scale: float = Field(10.0, ge=0.1, description="upper end of the search over alpha")
    beta_scale: float = Field(12.0, ge=0.1, description="upper end of the search over beta")


def start(episode: Episode) -> State:
    """The cache before any training: one key and its label a support picture."""
    weights = episode.support.weights  # [n]
    return {
        "keys": episode.support.keys(),  # [n, d]
        "labels": episode.support.labels,  # [n]
        "text": episode.text.unit(),  # [c, d]
        "logit_scale": tensor(episode.logit_scale),
        **({} if weights is None else {"weights": weights}),
    }


def blend(state: State, alpha: float, beta: float, f: Tensor) -> Tensor:
    """Scores `[q, c]` of unit embeddings `f [q, d]`."""
    return from_text(state, f) + alpha * from_cache(state, nearness(state, f), beta)


def from_text(state: State, f: Tensor) -> Tensor:
    """The text's share of the logits `[q, c]`."""
    return state["logit_scale"] * f @ state["text"].T


def nearness(state: State, f: Tensor) -> Tensor:
    """Cosines less 1 of all keys with unit `f [q, d]`, `[n, q]`."""
    return state["keys"] @ f.T - 1


def from_cache(state: State, near: Tensor, beta: float) -> Tensor:
    """The cache's share of the logits `[q, c]`, before alpha, by their `nearness`."""
    labels, classes = state["labels"], len(state["text"])
    return kernels.class_affinity(near, labels, classes, beta, state.get("weights")).T


def logits(state: State, config: CacheConfig, x: Tensor) -> Tensor:
    """Scores `[q, c]` of raw embeddings `x [q, d]`."""
    return blend(state, config.alpha, config.beta, normalize(x, dim=-1))


def space(config: CacheConfig) -> Space:
    """The released search: 200 values of beta around 20 of alpha, without the upper ends."""
    betas, alphas = _spread(config.beta_scale, BETAS), _spread(config.alpha_scale, ALPHAS)
    return Space(logits={"beta": betas, "alpha": alphas})


def _spread(scale: float, steps: int) -> tuple[float, ...]:
    return tuple(0.1 + i * (scale - 0.1) / steps for i in range(steps))


def logits_over(
    state: State, config: CacheConfig, x: Tensor, axes: Axes, trained: bool = True
) -> ChoiceLogits:
    """Logits of every beta and alpha, beta outermost; an axis left out keeps the config's value."""
    for beta, text, cache in _lines(state, config, x, axes, trained):
        for alpha in axes.get("alpha", [config.alpha]):
            yield _named(axes, beta, alpha), text.add(cache, alpha=alpha)


def hits_over(state: State, config: CacheConfig, axes: Axes, trained: bool = True) -> Counter:
    """The hits of all those, in which the logits are linear in alpha."""
    return partial(_hits, state, config, axes, trained)


def _hits(
    state: State, config: CacheConfig, axes: Axes, trained: bool, x: Tensor, labels: Tensor
) -> ChoiceHits:
    alphas = axes.get("alpha", [config.alpha])
    for beta, text, cache in _lines(state, config, x, axes, trained):
        found = winners.hits_along(text, cache, alphas, labels)
        for alpha, hits in zip(alphas, found, strict=True):
            yield _named(axes, beta, alpha), hits


def _lines(
    state: State, config: CacheConfig, x: Tensor, axes: Axes, trained: bool
) -> Iterator[tuple[float, Tensor, Tensor]]:
    """Every beta with the two parts of its logits `[q, c]`, without alpha."""
    f = normalize(x, dim=-1)
    text, near = from_text(state, f), nearness(state, f)
    betas = axes.get("beta", [config.beta])
    function = partial(from_cache, state, near)
    # Trained keys are no unit vectors any more; far beyond cosines the interpolation does not hold.
    smooth = not trained or bool(near.max() < MOST)
    caches = chebyshev.values(function, betas) if smooth else map(function, betas)
    for beta, cache in zip(betas, caches, strict=True):
        yield beta, text, cache


def _named(axes: Axes, beta: float, alpha: float) -> dict[str, Any]:
    choice = {"beta": beta, "alpha": alpha}
    return {name: choice[name] for name in axes}
