"""What a sweep does one of: a run, the cell whose draw it shares with others, a chunk of runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from adapters.compose import get
from adapters.experiment import Experiment, spelt_out
from adapters.run_identity import beside, features
from featcache.draws import Shots
from featcache.store.entry import Entry


@dataclass(frozen=True)
class Cell:
    """What a draw depends on: runs of one cell share it."""

    features: tuple[Any, ...]
    shots: Shots
    seed: int
    task: str
    entry: Entry = field(compare=False, repr=False)
    bank: str | None = field(compare=False)
    views: int | None = field(compare=False)
    extras: frozenset[str] = field(compare=False)
    way: tuple[tuple[str, str], ...] = ()  # keywords of the task's draw
    on: tuple[Entry, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True)
class Run:
    """One experiment on a cache entry, and the id that its rows will have.

    `calibrate` says whether they tell of a temperature too, which is no other run.
    """

    id: str
    entry: Entry = field(repr=False)
    experiment: Experiment
    calibrate: bool = False

    @property
    def cell(self) -> Cell:
        """The draw that the run needs."""
        e = spelt_out(self.experiment)
        extras = get(e.method).extras
        others = [(str(on.folder), str(each)) for on, each in zip(e.on, beside(e), strict=True)]
        about = (str(self.entry.folder), *features(self.entry, e), *others)
        way = tuple(e.way.items())
        return Cell(about, e.shots, e.seed, e.task, self.entry, e.bank, e.views, extras, way, e.on)


@dataclass(frozen=True)
class Chunk:
    """Runs of one cell, so that one draw serves them all, or of cells that may stack.

    One that is `dear` is a single run that costs several times what others do.
    """

    runs: tuple[Run, ...]
    stack: str = "off"
    dear: bool = False
