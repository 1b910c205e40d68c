"""Parts as tasks of a Slurm job array, through submitit; or as its local processes.

A task that is out of time or makes way for others is queued again, and goes on where it was. Tasks
outlive their driver: one that starts anew waits for those that are still at work.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import submitit

from featcache.encoding.order import Order
from featcache.encoding.spreading import Lost, Part, Reports, part_of
from featcache.engines.options import EngineOptions
from featcache.engines.slurm import JOBS, LOOK, LOOK_MOST, executor, submitting
from featcache.errors import FeatcacheError
from featcache.files import locked


class Slurm:
    """A job array of `jobs` tasks, one a part, with a GPU each where `device` is CUDA.

    `options` are those of `featcache.engines.slurm.executor`.
    """

    def __init__(self, jobs: int, device: str, folder: Path, options: Mapping[str, Any]) -> None:
        self.workers = jobs
        self.folder = folder.absolute()
        usual: dict[str, Any] = {"requeue": True}
        usual |= {"gpus": 1} if device.startswith("cuda") else {}
        self._executor = executor("featcache-encode", self.folder, options, usual)
        self._jobs: dict[Part, Any] = {}

    def run(
        self, order: Order, parts: Sequence[Part]
    ) -> Iterator[tuple[Part, Reports | Exception | Lost]]:
        """What the tasks answer, as they end."""
        for part in parts:
            with _alone(self.folder, order, part):
                pass  # nobody does it who was submitted by a driver that has died
        with submitting(self._executor):
            jobs = [self._executor.submit(_Part(self.folder), order, part) for part in parts]
        self._jobs = dict(zip(parts, jobs, strict=True))
        pause = LOOK
        while self._jobs:
            for part in [part for part, job in self._jobs.items() if job.done()]:
                yield part, _answer(self._jobs.pop(part))
                pause = LOOK
            time.sleep(pause)
            pause = min(1.5 * pause, LOOK_MOST)

    def close(self) -> None:
        """Cancel what still runs."""
        for job in self._jobs.values():
            job.cancel(check=False)
        self._jobs = {}


def engine(options: EngineOptions) -> Slurm:
    """A job array of `jobs` tasks."""
    return Slurm(options.jobs or JOBS, options.device, options.folder, options.slurm)


class _Part:
    """What a task of the array does; submitit asks `checkpoint` what to do once it is ended."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, order: Order, part: Part) -> Reports | Exception:
        try:
            with _alone(self.folder, order, part):
                return part_of(order, part)
        except FeatcacheError as error:  # raised, it would look like a worker that was killed
            return FeatcacheError(f"part {part[0]} of {part[1]}: {error}")

    def checkpoint(self, order: Order, part: Part) -> Any:
        return submitit.helpers.DelayedSubmission(self, order, part)


def _alone(folder: Path, order: Order, part: Part) -> AbstractContextManager[None]:
    """A lock, that no two tasks do the same part at once."""
    name = hashlib.sha256(repr((order, part)).encode()).hexdigest()[:12]
    return locked(folder / "parts" / f"{name}.lock")


def _answer(job: Any) -> Reports | Exception | Lost:
    try:
        found: Reports | Exception = job.result()
    except (submitit.core.utils.UncompletedJobError, submitit.core.utils.FailedJobError):
        return Lost(f"its log is {job.paths.stderr}")
    return found
