"""The contract of an engine: where chunks of runs are done.

An engine is one file in `adapters/sweeping/engines/` with `engine(options) -> Engine`. It hands
back rows as they are finished, in any order and in portions of any size, those of one run together.
It need not say what became of a run that lost its worker: a run without rows is the caller's to
notice.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from featcache import catalogue
from featcache.engines.options import EngineOptions, made

if TYPE_CHECKING:
    from adapters.scoring import Row
    from adapters.sweeping.runs import Chunk

FOLDER = Path(__file__).parent / "engines"


class Engine(Protocol):
    """What does chunks: `workers` at a time."""

    @property
    def workers(self) -> int:
        """How many chunks it does at once."""
        ...

    def run(self, chunks: Sequence[Chunk]) -> Iterator[list[Row]]:
        """Rows of the chunks' runs, as they come."""
        ...

    def close(self) -> None:
        """Let the workers go."""
        ...


def engine_names() -> list[str]:
    """The engines, by the files of `adapters/sweeping/engines`."""
    return sorted(catalogue.modules(FOLDER))


def engine(name: str = "local", **options: Any) -> Engine:
    """The engine of that name; `options` are the fields of `EngineOptions`.

    Raises `UnknownNameError`, or `ConfigError` where the engine's library is missing.
    """
    asked = EngineOptions(name, **options)
    found: Engine = made("adapters.sweeping.engines", engine_names(), asked)
    return found


def cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # less than the machine's where a job scheduler says so
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
