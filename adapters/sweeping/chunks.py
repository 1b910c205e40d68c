"""How runs are dealt out: in chunks of work by what they share, and to several machines."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence, Set
from dataclasses import replace
from typing import Any

from adapters.compose import get
from adapters.experiment import configured
from adapters.experiment import pictures as drawn
from adapters.expression import field_of
from adapters.method import Method
from adapters.sweeping.runs import Cell, Chunk, Run
from featcache.errors import ConfigError

LARGER = {"auto": 4, "on": 16}  # chunks of runs that may stack: small ones are small stacks

DEAR = 3  # times what a run costs on average


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

    def made(held: list[Run], price: float) -> Chunk:
        return Chunk(tuple(held), stack, len(held) == 1 and price > DEAR * total / len(every))

    for (own, _), pairs in groups.items():
        most, longest = total / own, math.ceil(len(every) / own)
        held: list[Run] = []
        price = 0.0
        for each, run in sorted(pairs, key=lambda pair: -pair[0]):
            if held and (price + each > most or len(held) == longest):
                found.append((price, made(held, price)))
                held, price = [], 0.0
            held.append(run)
            price += each
        found.append((price, made(held, price)))
    return [chunk for _, chunk in sorted(found, key=lambda pair: -pair[0])]


def cell_of(chunk: Chunk) -> Cell | None:
    """The cell of a chunk; None of one that is dear."""
    return None if chunk.dear else chunk.runs[0].cell


def following(waiting: Sequence[Cell | None], mine: Cell | None, others: Set[Cell | None]) -> int:
    """Which of the waiting chunks, known by their cells, falls to a worker that has drawn `mine`.

    One of the same cell, else one of a cell that no other worker is at, else the first: a draw is
    then made once. A chunk that is dear is not passed over where it comes first.
    """
    places = range(len(waiting)) if waiting[0] is not None else ()
    own = (i for i in places if mine is not None and waiting[i] == mine)
    free = (i for i in places if waiting[i] not in others)
    return next(own, next(free, 0))


def cost(run: Run) -> float:
    """About how dear a run is, in training steps; only good for putting runs in order."""
    known = configured(run.experiment)
    rows = pictures(run)
    fixed = known.fixed if run.experiment.policy != "none" else None
    return _cost(known.method, known.config, fixed, rows)


def pictures(run: Run) -> int:
    """How many pictures are drawn, about."""
    return drawn(run.entry, run.experiment)


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
