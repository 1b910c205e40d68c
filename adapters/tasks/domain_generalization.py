"""Domain generalization: fit on one set, score others that show its classes in another way.

Every class of a target is one of the source's (`adapters.matching`). Of the scores of all source
classes the columns of the target's are compared, so that each target has its own label space
(ImageNet-A and -R: 200 of 1,000); the stricter count over all the source's classes stands beside
it. CoOp's protocol (Zhou et al. 2022): the mean is that of the targets, without the source.
"""

from __future__ import annotations

from adapters.drawing import classes_of, of_task
from adapters.episode import Labelled, Target
from adapters.evaluate import mean
from adapters.matching import columns
from adapters.task import Task
from featcache.store.entry import Entry


def target(source: Entry, other: Entry, pictures: Labelled, bank: str | None = None) -> Target:
    """The other set's pictures among those of the source's classes that it has.

    Raises `EpisodeError` where it has others.
    """
    return Target(other.dataset, pictures, columns=columns(classes_of(source), classes_of(other)))


task = Task(
    draw=of_task("domain-generalization"),
    summary=lambda accuracies: {"target_mean": mean(accuracies.values())},
    others=target,
    custom="targets",
)
