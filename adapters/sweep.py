"""Sweeps: runs become chunks of work, an engine does them, the results store keeps every row.

    cache -- grid --> runs -- chunks --> engine -- rows --> results

What the store holds as done is not done again, so that a sweep that was stopped or killed goes on
where it was. A failed run is a row with its reason, and is tried again by the next sweep.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Iterable, Sequence, Set
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from adapters.configure import configure, field_of
from adapters.engines import Engine, Local
from adapters.episode import BaseToNew
from adapters.experiment import check_needs
from adapters.grid import Run, grid
from adapters.method import Method
from adapters.registry import get
from adapters.results import Results
from adapters.selection import validation
from adapters.work import Chunk, Row, Worker, failed
from featcache.errors import ConfigError

__all__ = ["Chunk", "Run", "Summary", "chunks", "cost", "grid", "shard", "sweep"]

PARTS = 16  # chunks a worker, at least: what is left for the last to finish is small
LARGER = {"auto": 4, "on": PARTS}  # chunks of runs that may stack: small ones are small stacks


@dataclass(frozen=True)
class Summary:
    """How a sweep ended: runs asked for, those found done, and what became of the others."""

    runs: int
    before: int
    done: int
    failed: int
    seconds: float


def sweep(
    runs: Sequence[Run],
    engine: Engine | None = None,
    results: Results | None = None,
    on_row: Callable[[Row], None] | None = None,
    stack: str = "auto",
) -> Summary:
    """Do the runs that the store does not hold as done, and write a row for each.

    `on_row` hears of every row once it is written. `stack` says whether runs that share shapes are
    trained as one: where that is faster, always, or never. Without an engine the runs are done in
    this process; without results nothing is kept but what `on_row` keeps. Raises what `check`
    raises, before the first run.
    """
    began = time.perf_counter()
    waiting = left(runs, results)
    check(waiting)
    counts = {"done": 0, "failed": 0}

    def keep(rows: Sequence[Row]) -> None:
        if results and rows:
            try:
                results.add_all(rows)
            except KeyboardInterrupt:
                results.add_all(rows)  # a row is written whole or not at all, so twice is once
                raise
        for row in rows:
            counts[row["status"]] += 1
            if on_row:
                on_row(row)

    with results.kept_open() if results and waiting else nullcontext():
        lost = do(waiting, engine or Local(), keep, stack)
        keep([failed(run, "its worker died twice: killed, or out of memory.") for run in lost])
    return Summary(
        len(runs), len(runs) - len(waiting), **counts, seconds=time.perf_counter() - began
    )


def left(runs: Sequence[Run], results: Results | None) -> list[Run]:
    """The runs that the store does not hold as done."""
    done = results.done(run.id for run in runs) if results else set()
    return [run for run in runs if run.id not in done]


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
            new = [row for row in rows if waiting.pop(row["run"], None)]
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
        alike.setdefault((run.cell.features, run.task), []).append(run)
    for group in alike.values():
        largest = max(group, key=lambda run: run.experiment.shots)
        found = worker.draw(largest.cell)
        drawn = found.base if isinstance(found, BaseToNew) else found
        for policy in {run.experiment.policy for run in group}:
            validation(drawn, policy)
        for method in {run.experiment.method for run in group}:
            check_needs(method, drawn)


def chunks(runs: Iterable[Run], parts: int = 1, stack: str = "off") -> list[Chunk]:
    """The runs in chunks of one cell, none above a `parts`-th of all, the dearest first.

    Runs that may be trained as one are together whatever their seeds, and in larger chunks.
    """
    groups: dict[tuple[int, Hashable], list[tuple[float, Run]]] = {}
    for run in runs:
        stacks = stack != "off" and get(run.experiment.method).prepare is not None
        alike = (run.experiment.method, replace(run.cell, seed=0)) if stacks else run.cell
        own = max(1, parts // LARGER[stack]) if stacks else parts
        groups.setdefault((own, alike), []).append((cost(run), run))
    every = [pair for pairs in groups.values() for pair in pairs]
    total = sum(c for c, _ in every)
    found: list[tuple[float, Chunk]] = []
    for (own, _), pairs in groups.items():
        most, longest = total / own, math.ceil(len(every) / own)
        held: list[Run] = []
        price = 0.0
        for each, run in sorted(pairs, key=lambda pair: -pair[0]):
            if held and (price + each > most or len(held) == longest):
                found.append((price, Chunk(tuple(held), stack)))
                held, price = [], 0.0
            held.append(run)
            price += each
        found.append((price, Chunk(tuple(held), stack)))
    return [chunk for _, chunk in sorted(found, key=lambda pair: -pair[0])]


def cost(run: Run) -> float:
    """About how dear a run is, in training steps; only good for putting runs in order."""
    method = get(run.experiment.method)
    config, fixed = configure(run.experiment.method, method, run.experiment.settings)
    rows = run.experiment.shots * len(run.entry.classnames)
    return _cost(method, config, fixed if run.experiment.policy != "none" else None, rows)


def _cost(method: Method, config: Any, fixed: Set[str] | None, rows: int) -> float:
    """`fixed` are the settings that the policy leaves alone; None where it chooses nothing."""
    if method.parts:
        parts = [(inner, getattr(config, field_of(part))) for part, inner in method.parts.items()]
        return sum(_cost(inner, own, fixed, rows) for inner, own in parts)
    axes = method.space(config).fit if fixed is not None else {}
    fits = math.prod(len(values) for key, values in axes.items() if key not in (fixed or ()))
    passes = getattr(config, "epochs", 0) * math.ceil(rows / getattr(config, "batch", rows))
    return fits * (1 + max(passes, getattr(config, "steps", 0), getattr(config, "iterations", 0)))


def shard(runs: Sequence[Run], part: int, of: int) -> list[Run]:
    """The runs of the `part`-th of `of` machines (from 1): every run falls to one of them.

    Raises `ConfigError` where there is no such part.
    """
    if not 1 <= part <= of:
        raise ConfigError(f"there is no part {part} of {of}; parts count from 1 to {of}.")
    order = {name: place for place, name in enumerate(sorted(run.id for run in runs))}
    return [run for run in runs if order[run.id] % of == part - 1]
