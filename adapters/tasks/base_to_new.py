"""Base to new: fit on the first half of the classes, score that half and the other, each by itself.

The draw is made over all classes and then cut; of an odd number of classes the first half has one
more (Zhou et al. 2022, CoOp and CoCoOp). The new classes are known by their names alone. The two
targets add up to the harmonic mean of their accuracies (Xian et al. 2017).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from adapters.drawing import draw
from adapters.episode import Draw, Target
from adapters.evaluate import harmonic_mean
from adapters.task import Task
from featcache.draws import Shots
from featcache.errors import EpisodeError
from featcache.store.entry import Entry

BASE, NEW = "base", "new"


def halves(entry: Entry, shots: Shots, seed: int, **how: Any) -> Draw:
    """The draw cut to the first half of the classes, with the targets `base` and `new`.

    `how` are `draw`'s keywords. Raises what `draw` raises, `EpisodeError` where a half has nothing
    to be scored on.
    """
    drawn = draw(entry, shots, seed, **how)
    episode = drawn.episode
    middle = (episode.classes + 1) // 2
    base, new = range(middle), range(middle, episode.classes)
    few, full = (held and held.of(base) for held in (drawn.few_shot_val, drawn.full_val))
    cut = replace(
        episode,
        support=episode.support.of(base),
        text=episode.text.of(base),
        task="base-to-new",
        negative=episode.negative and episode.negative.of(base),
    )
    targets = (
        Target(BASE, drawn.test.of(base)),
        Target(NEW, drawn.test.of(new), episode.text.of(new)),
    )
    for target, classes in zip(targets, (base, new), strict=True):
        if not len(target.pictures.labels):
            raise EpisodeError(
                f"{episode.dataset} has no test picture of its {len(classes)} {target.name} "
                "classes, so that base-to-new has no score of them; take --task few-shot, or a set "
                "with two classes or more that has test pictures of both halves."
            )
    return Draw(cut, few, full, targets)


def summary(accuracies: Mapping[str, float]) -> dict[str, float]:
    """The harmonic mean of both halves."""
    return {"harmonic_mean": harmonic_mean(accuracies[BASE], accuracies[NEW])}


task = Task(draw=halves, summary=summary, new_classes=True)
