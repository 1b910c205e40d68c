"""The contract of an engine: where chunks of runs are done.

An engine is one file in `adapters/sweeping/engines/` with `engine(options) -> Engine`. It hands
back rows as they are finished, in any order and in portions of any size, those of one run together.
It need not say what became of a run that lost its worker: a run without rows is the caller's to
notice.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from featcache import catalogue
from featcache.errors import ConfigError, UnknownNameError

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


@dataclass(frozen=True)
class EngineOptions:
    """Which engine, and what each of them may want to know; `jobs` 0 is the engine's own choice.

    `address` is that of a Ray cluster, `folder` (on a disk that all nodes see) and `slurm` are for
    Slurm.
    """

    name: str = "local"
    jobs: int = 0
    device: str = "auto"
    address: str | None = None
    folder: Path = Path("runs/slurm")
    slurm: Mapping[str, Any] = field(default_factory=dict)


def engine_names() -> list[str]:
    """The engines, by the files of `adapters/sweeping/engines`."""
    return sorted(catalogue.modules(FOLDER))


def engine(name: str = "local", **options: Any) -> Engine:
    """The engine of that name; `options` are the fields of `EngineOptions`.

    Raises `UnknownNameError`, or `ConfigError` where the engine's library is missing.
    """
    if name not in engine_names():
        raise UnknownNameError("engine", name, engine_names())
    try:
        module = catalogue.load("adapters.sweeping.engines", name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"engine {name} needs {error.name}; install it with `pip install 'featcache[{name}]'`."
        ) from None
    found: Engine = module.engine(EngineOptions(name, **options))
    return found


def cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # less than the machine's where a job scheduler says so
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
