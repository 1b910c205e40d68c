"""Sweeps: runs become chunks of work, an engine does them, the results store keeps every row.

    cache -- grid --> runs -- chunks --> engine -- rows --> results

What the store holds as done is not done again, so that a sweep that was stopped or killed goes on
where it was. A failed run is a row with its reason, and is tried again by the next sweep.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from adapters import registry
from adapters.compose import get
from adapters.reading.features import check_needs
from adapters.results import Results
from adapters.scoring import Row
from adapters.selection import validation
from adapters.sweeping.chunks import chunks, pictures
from adapters.sweeping.engine import Engine
from adapters.sweeping.engines.local import Local
from adapters.sweeping.runs import Chunk, Run
from adapters.sweeping.worker import Worker, failed
from featcache.errors import EpisodeError

PARTS = 16  # chunks a worker, at least: what is left for the last to finish is small


@dataclass(frozen=True)
class Summary:
    """How a sweep ended: runs asked for, those found done, and what became of the others.

    `why` is the reason of the first that failed.
    """

    runs: int
    before: int
    done: int
    failed: int
    seconds: float
    why: str = ""


def sweep(
    runs: Sequence[Run],
    engine: Engine | None = None,
    results: Results | None = None,
    on_row: Callable[[Row], None] | None = None,
    stack: str = "auto",
) -> Summary:
    """Do the runs that the store does not hold as done, and write a row for each.

    `on_row` hears of every run once its rows are written, by the first of them. `stack` says
    whether runs that share shapes are trained as one: where that is faster, always, or never.
    Without an engine the runs are done in this process; without results nothing is kept but what
    `on_row` keeps. Raises what `check` raises, before the first run.
    """
    began = time.perf_counter()
    waiting = left(runs, results)
    check(waiting)
    counts = {"done": 0, "failed": 0}
    whys: list[str] = []

    def keep(rows: Sequence[Row]) -> None:
        if results and rows:
            try:
                results.add_all(rows)
            except KeyboardInterrupt:
                results.add_all(rows)  # a row is written whole or not at all, so twice is once
                raise
        for _, (first, *_) in itertools.groupby(rows, lambda row: row["run"]):
            counts[first["status"]] += 1
            if first["status"] == "failed" and not whys:
                whys.append(first["reason"])
            if on_row:
                on_row(first)

    with results.kept_open() if results and waiting else nullcontext():
        lost = do(waiting, engine or Local(), keep, stack)
        keep([failed(run, "its worker died twice: killed, or out of memory.") for run in lost])
    seconds, why = time.perf_counter() - began, "".join(whys)
    return Summary(len(runs), len(runs) - len(waiting), **counts, seconds=seconds, why=why)


def left(runs: Sequence[Run], results: Results | None) -> list[Run]:
    """The runs that the store does not hold as done, or not calibrated where they are to be."""
    found = []
    for calibrate in {run.calibrate for run in runs}:
        own = [run.id for run in runs if run.calibrate == calibrate]
        done = results.done(own, calibrate) if results else set()
        found += [name for name in own if name not in done]
    waiting = {*found}
    return [run for run in runs if run.id in waiting]


def do(
    runs: Sequence[Run],
    engine: Engine,
    keep: Callable[[Sequence[Row]], None],
    stack: str = "off",
) -> list[Run]:
    """Hand the runs to the engine and keep their rows; return those that were lost twice.

    A run without a row has lost its worker. It is done once more, alone, so that a run that
    kills its worker takes no others with it.
    """
    waiting = {run.id: run for run in runs}
    for work in (chunks(runs, PARTS * engine.workers, stack), None):
        again = work if work is not None else [Chunk((run,)) for run in waiting.values()]
        for rows in engine.run(again):
            new = [row for row in rows if row["run"] in waiting]
            for row in new:
                waiting.pop(row["run"], None)
            if new:
                keep(new)
        if not waiting:
            break
    return [*waiting.values()]


def check(runs: Iterable[Run]) -> None:
    """Try the largest draw of each entry, with its prompts and views, before anything is fitted.

    Raises `EpisodeError`, `CacheError`, `MethodError` or `UnknownNameError`.
    """
    worker = Worker()
    alike: dict[Any, list[Run]] = {}
    for run in runs:
        alike.setdefault((run.cell.features, run.cell.task, run.cell.way), []).append(run)
    for group in alike.values():
        largest = max(group, key=pictures)
        if registry.task(largest.experiment.task).solve is not None:
            continue  # its words were checked when the grid was read, and it reads no other
        drawn = worker.draw(largest.cell)
        if not drawn.targets:
            raise EpisodeError(
                f"{largest.entry.dataset} has no test split, so that a sweep has no rows to write; "
                "take another data set, or fit with `adapters fit` and evaluate on another."
            )
        for policy in {run.experiment.policy for run in group}:
            validation(drawn, policy)
        for method in {run.experiment.method for run in group}:
            check_needs(method, get(method), drawn, (largest.entry, *largest.experiment.on))
