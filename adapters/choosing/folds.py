"""Folds: shots of the support held out in turn, so that settings are chosen without validation.

    loo    one shot of every class at a time, in as many folds as there are shots; at most 16, and
           at most 4 where a fold is a training, by the number of the shot
    hoso   the first shot of every class, once

The views of a picture are held out with it and its centre crop is what is asked. Of a class with
one picture nothing can be held out, so that it is no part of the score; where that is so of every
class there is no fold. A fold is made when it is asked for, since all of them together would be the
support many times over. Leave-one-out by shots rather than by pictures is ours; the one held-out
shot is HOSO-Adapter's (Vorster et al.).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from adapters.episode import Episode, Labelled, Support

LOO, HOSO = "loo", "hoso"  # in `registry.LEFT_OUT` too, which knows no torch
MOST, TRAINED = 16, 4  # folds, and those where each is a training
STEPS = ("learning_rate", "steps", "iterations", "epochs")  # settings that only trainings have


@dataclass(frozen=True)
class Fold:
    """An episode without some pictures, and those."""

    episode: Episode
    held: Labelled


@dataclass(frozen=True)
class Folds:
    """What a policy holds out of a support, fold by fold; none where no class has two pictures."""

    policy: str
    episode: Episode
    masks: tuple[Tensor, ...]  # of the support, [n] each: what is held out
    changes: tuple[Callable[[Fold], Fold], ...] = ()

    def __iter__(self) -> Iterator[Fold]:
        for mask in self.masks:
            fold = _without(self.episode, mask)
            for change in self.changes:
                fold = change(fold)
            yield fold

    @property
    def left(self) -> int:
        """Pictures that the largest class keeps in the poorest fold; 0 without folds."""
        labels = self.episode.support.labels
        return min((int(labels[~mask].bincount().max()) for mask in self.masks), default=0)

    @property
    def pictures(self) -> int:
        """How many are held out in all folds together."""
        return sum(int(mask.sum()) for mask in self.masks)

    def each(self, change: Callable[[Fold], Fold]) -> Folds:
        """The folds changed one by one, as they are asked for."""
        return replace(self, changes=(*self.changes, change))


def hold_out(episode: Episode, policy: str, trained: bool = False) -> Folds:
    """The folds of a policy, of which there are few where each is a training."""
    labels = episode.support.labels
    place = places(labels)
    counts = labels.bincount(minlength=episode.classes)
    several = counts[labels] > 1
    shots = int(counts.max()) if len(labels) else 0
    number = min(shots, TRAINED if trained else MOST)
    if shots < 2:
        masks = []
    elif policy == HOSO:
        masks = [several & (place == 0)]
    else:
        masks = [several & (place % number == k) for k in range(number)]
    return Folds(policy, episode, tuple(masks))


def places(labels: Tensor) -> Tensor:
    """Which picture of its class each of `labels [n]` is, from 0 on, in the order they have."""
    order = labels.argsort(stable=True)
    counts = labels.bincount()
    found = torch.empty_like(labels)
    found[order] = torch.arange(len(labels), device=labels.device)
    return found - (counts.cumsum(0) - counts)[labels]


def trains(config: Any) -> bool:
    """Whether a fit with the config, or with that of a part, is a training."""
    parts = vars(config).values()
    return any(hasattr(config, name) for name in STEPS) or any(
        trains(part) for part in parts if hasattr(part, "__dataclass_fields__")
    )


def _without(episode: Episode, held: Tensor) -> Fold:
    """The episode without the pictures of a mask `[n]`."""
    support, kept = episode.support, ~held
    x, labels = support.x[held], support.labels[held]
    pre = None if support.pre is None else support.pre[0, held]
    patches = None if support.patches is None else support.patches[held]
    rest = Support(
        support.views[:, kept],
        support.labels[kept],
        _named(support.ids, kept),
        None if support.pre is None else support.pre[:, kept],
        None if support.patches is None else support.patches[kept],
    )
    shots = int(rest.labels.bincount().max())
    return Fold(
        replace(episode, support=rest, shots=shots),
        Labelled(x, labels, _named(support.ids, held), pre, patches),
    )


def _named(ids: tuple[str, ...], kept: Tensor) -> tuple[str, ...]:
    return tuple(name for name, keep in zip(ids, kept.tolist(), strict=True) if keep)
