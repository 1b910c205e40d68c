"""Runs as tasks of a Slurm job array, through submitit; or as its local processes.

Rows travel through files in a folder that all nodes see, one line a run: what a task had finished
before it was ended counts, and a driver that starts anew finds what its predecessor's tasks wrote.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch

from adapters.scoring import Row
from adapters.sweeping.runs import Chunk
from adapters.sweeping.worker import Worker
from featcache.engines.options import EngineOptions
from featcache.engines.slurm import JOBS, LOOK, LOOK_MOST, executor, submitting


class Slurm:
    """A job array of `jobs` tasks, each with its share of the chunks, dealt out like cards.

    `options` are those of `featcache.engines.slurm.executor`.
    """

    def __init__(self, jobs: int, device: str, folder: Path, options: Mapping[str, Any]) -> None:
        self.workers = jobs
        self.device = device
        self.folder = folder.absolute()
        self._executor = executor("adapters-sweep", self.folder, options)
        self._jobs: list[Any] = []

    def run(self, chunks: Sequence[Chunk]) -> Iterator[list[Row]]:
        """Rows as the tasks write them; first those that tasks of an earlier driver left."""
        found = [row for path in self._files() for row in _Lines(path).new()]
        told = {row["run"] for row in found if row.get("ece_calibrated") is not None}
        lacking = {r.id for chunk in chunks for r in chunk.runs if r.calibrate} - told
        taken = [row for row in found if row["status"] == "done" and row["run"] not in lacking]
        if taken:
            yield taken
        known = {row["run"] for row in taken}
        left = [
            replace(chunk, runs=tuple(r for r in chunk.runs if r.id not in known))
            for chunk in chunks
        ]
        yield from self._submitted([chunk for chunk in left if chunk.runs])

    def close(self) -> None:
        """Cancel what still runs."""
        for job in self._jobs:
            job.cancel(check=False)
        self._jobs = []

    def _submitted(self, chunks: Sequence[Chunk]) -> Iterator[list[Row]]:
        shares = [chunks[first :: self.workers] for first in range(min(self.workers, len(chunks)))]
        name = uuid4().hex[:8]
        files = [self.folder / "rows" / f"{name}-{i}.jsonl" for i in range(len(shares))]
        with submitting(self._executor):
            jobs = [
                self._executor.submit(_task, share, path, self.device)
                for share, path in zip(shares, files, strict=True)
            ]
        self._jobs = jobs  # only now: one that was refused cannot be cancelled
        waiting = {path: (job, _Lines(path)) for path, job in zip(files, self._jobs, strict=True)}
        pause = LOOK
        while waiting:
            for path, (job, lines) in [*waiting.items()]:
                ended = job.done()  # asked first: what it wrote before it ended is then there
                if rows := lines.new():
                    yield rows
                    pause = LOOK
                if ended:
                    del waiting[path]
                    path.unlink(missing_ok=True)
            time.sleep(pause)
            pause = min(1.5 * pause, LOOK_MOST)
        self._jobs = []

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("rows/*.jsonl"))


def engine(options: EngineOptions) -> Slurm:
    """A job array of `jobs` tasks."""
    return Slurm(options.jobs or JOBS, options.device, options.folder, options.slurm)


class _Lines:
    """The rows of a file that somebody is still writing to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read = 0

    def new(self) -> list[Row]:
        """The whole lines that have come since the last time."""
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            file.seek(self._read)
            whole, _, _ = file.read().rpartition(b"\n")
        self._read += len(whole) + bool(whole)
        return [row for line in whole.splitlines() for row in json.loads(line)]


def _task(chunks: Sequence[Chunk], path: Path, device: str) -> None:
    """What a task of the array does."""
    torch.set_num_threads(1)
    path.parent.mkdir(parents=True, exist_ok=True)
    worker = Worker(device)
    with path.open("a", encoding="utf-8") as file:
        for chunk in chunks:
            for rows in worker.rows(chunk):
                file.write(json.dumps(rows) + "\n")
                file.flush()
