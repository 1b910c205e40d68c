"""A whole sweep in one object: what words ask for, checked and counted before it starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.registry import task
from adapters.results import Results
from adapters.scoring import Row
from adapters.sweeping.chunks import shard
from adapters.sweeping.engine import Engine
from adapters.sweeping.grid import left_out, union, without
from adapters.sweeping.runs import Run
from adapters.sweeping.search import Best, Make, Search, adaptive, at_random, planned
from adapters.sweeping.settings import Combine, every
from adapters.sweeping.sweep import Summary, check, left, sweep
from featcache.errors import ConfigError, MethodError

if TYPE_CHECKING:
    from featcache.store.cache import FeatureCache

WHOLE = (1, 1)


@dataclass(frozen=True)
class Plan:
    """A sweep still to be done: `total` runs, `before` of which the store holds as done.

    The runs of an adaptive search are not known before it is under way. `left_out` are the methods
    of `all` that cannot do a task, by task; `lacking` those that an entry lacks something for, by
    entry, with what it lacks.
    """

    make: Make
    search: Search
    results: Results
    runs: tuple[Run, ...]
    total: int
    before: int
    left_out: Mapping[str, Sequence[str]]
    lacking: Mapping[str, Mapping[str, str]]

    def check(self) -> None:
        """Try every draw, as `carry_out` does first. Raises what `sweep.check` raises."""
        check(self.runs)

    def carry_out(
        self,
        engine: Engine | None = None,
        on_row: Callable[[Row], None] | None = None,
        stack: str = "auto",
    ) -> tuple[Summary, list[Best]]:
        """Do the runs; what they came to, and the best settings that an adaptive search found.

        Raises what `sweep` and `adaptive` raise.
        """
        if self.search.adaptive:
            return adaptive(self.make, self.search, engine, self.results, on_row, stack)
        return sweep(self.runs, engine, self.results, on_row, stack), []


def plan(
    cache: FeatureCache,
    words: Mapping[str, Any],
    results: Results,
    *,
    grid_file: Path | None = None,
    search: Search | None = None,
    part: tuple[int, int] = WHOLE,
    calibrate: bool = False,
) -> Plan:
    """The sweep that words describe: those of `Grid`, in place of the words of a grid file.

    `part = (i, n)` is the i-th of n parts of the runs. Raises what `union` raises, and
    `ConfigError` for a part that there is not, or where the search cannot be divided, and
    `MethodError` where a task keeps nothing to `calibrate`.
    """
    search = search or Search()
    if search.adaptive and part != WHOLE:
        raise ConfigError(f"--search {search.how} learns from every trial, so it takes no --shard.")

    def make(combine: Combine) -> list[Run]:
        runs = union(cache, grid_file, words, combine)
        for name in {run.experiment.task for run in runs} if calibrate else ():
            if task(name).solve is not None:
                raise MethodError(
                    f"{name} keeps no adapter to be calibrated; sweep it by itself, without "
                    "--calibrate."
                )
        return [replace(run, calibrate=calibrate) for run in runs]

    out = left_out(grid_file, words), without(cache, grid_file, words)
    if search.adaptive:
        return Plan(make, search, results, (), *planned(make, search, results), *out)
    combine = at_random(search.trials) if search.how == "random" else every
    runs = shard(make(combine), *part)
    before = len(runs) - len(left(runs, results))
    return Plan(make, search, results, tuple(runs), len(runs), before, *out)
