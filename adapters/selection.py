"""Which hyper-parameters are taken, and who may look at what to decide it.

Every result row carries its policy, and rows of different policies never share a column.

    none           the config as it stands
    few-shot-val   best on min(K, 4) validation pictures a class (the default)
    full-val       best on the whole validation list
    transfer       best on another data set, taken over unchanged
    oracle-test    best on the test labels; only to reproduce numbers published that way
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from adapters.episode import Draw, Episode, Labelled
from adapters.evaluate import accuracy
from adapters.method import Axes, Method, State, choices
from featcache.errors import EpisodeError, UnknownNameError

POLICIES = ("none", "few-shot-val", "full-val", "transfer", "oracle-test")


@dataclass(frozen=True)
class Chosen:
    """A fitted state with the config that won, its score on validation and how many were tried.

    `score` is accuracy in per cent or mean cross-entropy, as the method's criterion says; None
    where nothing was chosen.
    """

    config: Any
    state: State
    score: float | None
    tried: int


def validation(draw: Draw, policy: str) -> Labelled | None:
    """What the policy may look at to choose; None where it chooses nothing.

    Raises `EpisodeError` where the data has no such list.
    """
    if policy not in POLICIES:
        raise UnknownNameError("policy", policy, POLICIES)
    if policy in ("none", "transfer"):
        return None
    if policy == "oracle-test":
        return draw.test
    held = draw.few_shot_val if policy == "few-shot-val" else draw.full_val
    if held is None:
        raise EpisodeError(
            f"{draw.episode.dataset} has no pictures for policy {policy}; take --policy none, or "
            "few-shot-val where training pictures are left over."
        )
    return held


def select(
    method: Method,
    episode: Episode,
    config: Any,
    held: Labelled | None,
    fixed: Set[str] = frozenset(),
) -> Chosen:
    """Fit, trying the method's space (less the `fixed` fields) on the held-out pictures.

    The first best wins. Each fit draws from its own generator, seeded by the episode, so a
    setting's result does not depend on what was tried before it.
    """
    if method.choose is not None:
        chosen: Chosen = method.choose(episode, config, held, fixed)
        return chosen
    space = method.space(config)
    on_fit, on_logits = (_asked(axes, held, fixed) for axes in (space.fit, space.logits))
    best: Chosen | None = None
    tried = 0
    for candidate in candidates(method, config, held, fixed):
        state = method.fit(episode, candidate, chance(episode))
        if held is None or not (on_fit or on_logits):
            return Chosen(candidate, state, None, 0)
        with torch.inference_mode():
            for choice, logits in method.scores(
                state, candidate, method.input(held.query), on_logits
            ):
                tried += 1
                found = score(method, logits, held)
                if best is None or _signed(method, found) > _signed(method, best.score):
                    best = Chosen(replace(candidate, **choice), state, found, tried)
    assert best is not None
    return replace(best, tried=tried)


def candidates(
    method: Method, config: Any, held: Labelled | None, fixed: Set[str] = frozenset()
) -> list[Any]:
    """The configs that `select` fits, in its order."""
    on_fit = _asked(method.space(config).fit, held, fixed)
    return [replace(config, **overrides) for overrides in choices(on_fit)]


def chance(episode: Episode) -> torch.Generator:
    """What each fit on the episode draws from, anew."""
    return torch.Generator().manual_seed(episode.seed)


def _asked(axes: Axes, held: Labelled | None, fixed: Set[str]) -> Axes:
    """The axes that are to be tried."""
    return {key: values for key, values in axes.items() if key not in fixed and held}


def score(method: Method, logits: torch.Tensor, held: Labelled) -> float:
    """Accuracy in per cent or mean cross-entropy of `logits [n, c]`, as the criterion says."""
    if method.criterion == "accuracy":
        return accuracy(logits, held.labels)
    return float(cross_entropy(logits, held.labels))


def _signed(method: Method, value: float | None) -> float:
    """The score with the sign of cross-entropy turned, so that more is better."""
    if value is None:
        return float("-inf")
    return value if method.criterion == "accuracy" else -value
