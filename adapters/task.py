"""The contract of a task: what a fit sees, which targets lie beside it, how their rows add up.

A task is one file in `adapters/tasks/` whose name is the task's name with `_` for `-`. It ends with
`task = Task(...)`, built from plain functions:

    draw(entry, shots, seed, *, bank, views, extras) -> Draw   the support and text that a fit sees,
                                                  validation beside them, and the targets: test sets
                                                  with the classes that each is scored among
    summary(accuracies) -> dict                   what the accuracies of all targets say together
    solve(entry, asked) -> (Settled, Solved …)    for a task of many small fits, in place of all the
                                                  rest: settings chosen once, and every list of
                                                  problems fitted and scored
    others(source, other, pictures, bank) -> Target   another set's test pictures as a target, for
                                                  a task that is scored on sets beside its own

An experiment fits once and is scored on every target: one row each, with the target's name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from adapters.episode import Draw, Labelled, Target
from featcache.drawn import Drawn
from featcache.draws import BALANCED, Shots
from featcache.store.entry import Entry


class DrawTask(Protocol):
    """How a task draws; raises `EpisodeError` where the entry cannot give it.

    `kind` is passed where it is not `balanced` alone.
    """

    def __call__(
        self,
        entry: Entry,
        shots: Shots,
        seed: int,
        *,
        bank: str | None = None,
        views: int | None = None,
        extras: Any = (),
        kind: str | Drawn = BALANCED,
    ) -> Draw:
        """The episode with its targets."""
        ...


class Others(Protocol):
    """How pictures of another set are scored; `EpisodeError` where they cannot be."""

    def __call__(
        self, source: Entry, other: Entry, pictures: Labelled, bank: str | None = None
    ) -> Target:
        """The other set as a target; `bank` is that of its prompts where it needs any."""
        ...


def _no_summary(_accuracies: Mapping[str, float]) -> dict[str, float]:
    return {}


@dataclass(frozen=True)
class Task:
    """One task: its draw, how its rows add up, and whether a target has classes that no fit saw.

    `summary` takes accuracies in per cent by the targets' names; what it gives stands in every row
    of the experiment. With `new_classes` a method needs `with_text`. A task with `others` has its
    own data set as first target, then the sets that it was asked for (`--on`), and `summary` takes
    these alone; `custom` is the kind of `featcache.targets` that names them where nobody does.

    A task that solves has `shots` of its own, the `policies` that it knows, its usual one first,
    and the `texts` that may be shown where it shows none unless it is asked for.
    """

    draw: DrawTask
    summary: Callable[[Mapping[str, float]], dict[str, float]] = _no_summary
    new_classes: bool = False
    solve: Callable[..., Any] | None = None
    shots: int | None = None
    policies: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    others: Others | None = None
    custom: str = ""
