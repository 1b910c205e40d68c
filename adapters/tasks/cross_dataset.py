"""Cross-dataset: fit on one set, score others whose classes are known by their names alone.

Each target is scored among its own classes with its own prompts, by a classifier that is given
them in place of the source's (Zhou et al. 2022, CoCoOp). The mean is that of the targets, without
the source.
"""

from __future__ import annotations

from adapters.drawing import of_task, text_of
from adapters.episode import Labelled, Target
from adapters.evaluate import mean
from adapters.task import Task
from featcache.store.entry import Entry


def target(source: Entry, other: Entry, pictures: Labelled, bank: str | None = None) -> Target:
    """The other set's pictures among its own classes, by a bank of its own (the newest)."""
    return Target(other.dataset, pictures, text_of(other, bank))


task = Task(
    draw=of_task("cross-dataset"),
    summary=lambda accuracies: {"target_mean": mean(accuracies.values())},
    new_classes=True,
    others=target,
    custom="transfers",
)
