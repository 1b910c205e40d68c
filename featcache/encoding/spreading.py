"""One `featcache encode` on many machines: parts handed to an engine, the entry finished here.

A part is an encode of every n-th unit into the cache that all machines see. It leaves alone what
is there, so that it may be done twice, by workers of a driver that has died as well: whatever ends
early, the same command goes on. An engine is one file in `featcache/encoding/engines/` with
`engine(options) -> Engine`.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from featcache.backbones.names import parse
from featcache.datasets.dataset import Dataset
from featcache.encoding import plan
from featcache.encoding.decoding import processes
from featcache.encoding.encode import asked_of
from featcache.encoding.finishing import finish
from featcache.encoding.order import Order, encode, load, read
from featcache.encoding.report import Progress, Report
from featcache.engines.options import EngineOptions, made, of_encoding
from featcache.errors import CacheError, FeatcacheError
from featcache.store.entry import reload

ENGINES = "featcache.encoding.engines"
TRIES = 2  # a worker may be killed; one that dies of its part does so again

Part = tuple[int, int]
Reports = list[list[Report | Exception]]  # by data set and backbone


@dataclass(frozen=True)
class Lost:
    """A part whose worker ended without an answer, and why as far as that is known."""

    why: str


class Engine(Protocol):
    """What does parts: `workers` at a time."""

    @property
    def workers(self) -> int:
        """How many parts it does at once."""
        ...

    def run(
        self, order: Order, parts: Sequence[Part]
    ) -> Iterator[tuple[Part, Reports | Exception | Lost]]:
        """What `part_of` gave for each part, as they end, or that its worker was lost."""
        ...

    def close(self) -> None:
        """Stop what still runs."""
        ...


def engine(options: EngineOptions) -> Engine:
    """The engine that the options name. Raises what `made` raises."""
    found: Engine = made(ENGINES, of_encoding(), options)
    return found


def part_of(order: Order, part: Part) -> Reports | Exception:
    """What a worker does of an order: its part, or a sentence on what stopped it."""
    with suppress(OSError):  # it may be on another machine, and paths need not be relative
        os.chdir(order.folder)
    try:
        if order.decoding.where != "threads":
            processes.warm_up(order.device)
        loaded = [load(order, name) for name in order.backbones]
        order = replace(order, request=replace(order.request, part=part, last=False))
        found = [encode(order, data, bank, loaded) for data, bank in read(order)]
    except Exception as error:
        return _told(error, part)
    return [[_told(e, part) if isinstance(e, Exception) else e for e in each] for each in found]


def spread(
    order: Order,
    datasets: Sequence[Dataset],
    engine: Engine,
    progress: Progress = lambda done, total: None,
) -> Reports:
    """Have the engine do an order whose data sets these are, and finish what it gave.

    Reports add up what the parts did, an error stands in place of a backbone's where one of its
    parts failed. Raises `CacheError` where the worker of a part was lost twice, whatever stopped a
    part before it began, and before any is handed out what names of backbones and splits give.
    """
    began = time.perf_counter()
    for name in order.backbones:  # parts may wait for hours until one of them says so
        parse(name, order.pretrained)
    count = max(1, min(engine.workers, max(_units(order, data) for data in datasets)))
    left = [(i, count) for i in range(1, count + 1)]
    done, lost = dict[Part, Reports](), dict[Part, Lost]()
    stopped = dict[Part, Exception]()
    progress(0, count)
    for _ in range(TRIES):
        lost = {}
        for part, found in engine.run(order, left):
            if isinstance(found, Lost):
                lost[part] = found
            elif isinstance(found, Exception):
                stopped[part] = found
            else:
                done[part] = found
                progress(len(done), count)
        left = [*lost]
        if stopped or not left:
            break
    if stopped:
        raise stopped[min(stopped)]
    for part, each in lost.items():
        raise CacheError(
            f"{_named(part)} was lost {TRIES} times: its worker was killed, or had no memory or "
            f"time left ({each.why}); give it more, or a smaller --batch-size, and run the same "
            "command again: what was written stays."
        )
    every = [done[part] for part in sorted(done)]
    return [
        [
            _together([reports[i][b] for reports in every], data, began)
            for b in range(len(every[0][i]))
        ]
        for i, data in enumerate(datasets)
    ]


def _units(order: Order, data: Dataset) -> int:
    asked = asked_of(data, order.request.splits)
    return sum(-(-len(data.splits[split]) // plan.SHARD_ROWS) for split in asked)


def _together(
    parts: Sequence[Report | Exception], data: Dataset, began: float
) -> Report | Exception:
    """What the parts of one entry did, and the entry finished."""
    reports = [each for each in parts if isinstance(each, Report)]
    if len(reports) < len(parts):
        return next(each for each in parts if isinstance(each, Exception))
    entry = reload(reports[0].entry)
    if other := next((r for r in reports if r.entry.key != entry.key), None):
        return CacheError(
            f"some workers wrote {entry.key} and others {other.entry.key}, for their devices or "
            "libraries differ; say --device and --precision, and run the same command again."
        )
    whole = Report(entry)
    try:
        noted = finish(entry, data)
    except FeatcacheError as error:
        return error
    for each in reports:
        whole.encoded += each.encoded
        whole.taken += each.taken
        whole.skipped += each.skipped
        whole.crops += each.crops
        whole.prompts += each.prompts
        whole.batch_size = max(whole.batch_size, each.batch_size)
        whole.damaged += each.damaged
        whole.notes += [note for note in each.notes if note not in whole.notes]
        for stage, seconds in each.seconds.items():
            whole.seconds[stage] += seconds
    whole.notes += noted
    whole.entry = reload(entry)
    whole.bad = whole.entry.bad_pictures()
    whole.wall = time.perf_counter() - began
    return whole


def _named(part: Part) -> str:
    return f"part {part[0]} of {part[1]}"


def _told(error: Exception, part: Part) -> FeatcacheError:
    """The error as text, for not every exception travels; one of no sentence is in the log."""
    if isinstance(error, FeatcacheError):
        return FeatcacheError(f"{_named(part)}: {error}")
    traceback.print_exception(error)
    return FeatcacheError(
        f"{_named(part)} failed ({type(error).__name__}: {error}); mend that and run the same "
        "command again: what was written stays."
    )
