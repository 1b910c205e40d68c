"""Where chunks of runs are done: this process, local processes, Ray, or Slurm.

An engine hands back rows as they are finished, in any order and in portions of any size. It need
not say what became of a run that lost its worker: a run without a row is the caller's to notice.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from adapters.engines.local import Local
from adapters.work import Chunk, Row
from featcache.errors import ConfigError, UnknownNameError

__all__ = ["ENGINES", "Engine", "Local", "engine"]

ENGINES = ("local", "ray", "slurm")
SLURM_JOBS = 8  # tasks of a job array, where nothing was said


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


def engine(
    name: str = "local",
    jobs: int = 0,
    device: str = "auto",
    *,
    address: str | None = None,
    folder: Path = Path("runs/slurm"),
    slurm: Mapping[str, Any] | None = None,
) -> Engine:
    """The engine of that name; `jobs` 0 is one a core or GPU, on Slurm 8.

    `address` is that of a Ray cluster, `folder` (on a disk that all nodes see) and `slurm` are for
    Slurm. Raises `UnknownNameError`, or `ConfigError` where the engine's library is missing.
    """
    if name not in ENGINES:
        raise UnknownNameError("engine", name, ENGINES)
    try:
        if name == "ray":
            from adapters.engines.ray import Ray

            return Ray(jobs, device, address)
        if name == "slurm":
            from adapters.engines.slurm import Slurm

            return Slurm(jobs or SLURM_JOBS, device, folder, slurm or {})
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"engine {name} needs {error.name}; install it with `pip install 'featcache[{name}]'`."
        ) from None
    return _local(jobs, device)


def _local(jobs: int, device: str) -> Local:
    if device.startswith("cuda"):
        import torch

        return Local(jobs or max(torch.cuda.device_count(), 1), device)
    return Local(jobs or _cores(), device)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # less than the machine's where a job scheduler says so
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
