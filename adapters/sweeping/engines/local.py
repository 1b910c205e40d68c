"""Runs in this process, or in processes of this machine."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from threading import current_thread, main_thread
from typing import Any

import torch

from adapters.devices.device import device_of
from adapters.scoring import Row
from adapters.sweeping.chunks import cell_of, following
from adapters.sweeping.engine import cores
from adapters.sweeping.runs import Cell, Chunk
from adapters.sweeping.worker import Worker, portions
from featcache.engines.options import EngineOptions
from featcache.errors import SweepError

STARTS = 3  # processes in a row that may end before they are ready
VISIBLE = "CUDA_VISIBLE_DEVICES"
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Local:
    """In this process where `jobs` is 1, else in so many processes of one thread each.

    Processes start with the first chunks and stay until `close`. One that dies is replaced.
    `worker` is what does the chunks. Where there are several GPUs each process sees one of them,
    and those that share one share its memory.
    """

    def __init__(self, jobs: int = 1, device: str = "cpu", worker: type[Worker] = Worker) -> None:
        device_of(device)  # refused here rather than by every process
        self.workers = jobs
        self.device = device
        self.worker = worker
        self._gpus = gpus(device) if jobs > 1 else []
        self._on: dict[Connection, str] = {}
        self._here: Worker | None = None
        self._pool: dict[Connection, BaseProcess] = {}
        self._starting: set[Connection] = set()
        self._stillborn = 0

    def run(self, chunks: Sequence[Chunk]) -> Iterator[list[Row]]:
        """Rows as they are finished."""
        return self._in_processes(chunks) if self.workers > 1 else self._in_turn(chunks)

    def close(self) -> None:
        """End the processes."""
        for connection, process in self._pool.items():
            connection.close()
            process.terminate()
        self._pool, self._starting = {}, set()

    def _in_turn(self, chunks: Sequence[Chunk]) -> Iterator[list[Row]]:
        self._here = self._here or self.worker(self.device)
        for chunk in chunks:
            yield from self._here.rows(chunk)

    def _in_processes(self, chunks: Sequence[Chunk]) -> Iterator[list[Row]]:
        waiting, cells = [*chunks], [*map(cell_of, chunks)]
        at: dict[Connection, Cell | None] = {}
        busy: set[Connection] = set()
        idle = self._pool.keys() - self._starting
        while waiting or busy:
            while waiting and idle:
                connection = idle.pop()
                place = following(cells, at.get(connection), {at[each] for each in busy})
                try:
                    connection.send(waiting[place])
                except OSError:  # it died while it had nothing to do
                    self._bury(connection)
                    continue
                at[connection] = cells.pop(place)
                del waiting[place]
                busy.add(connection)
            room = self.workers - len(self._pool)
            for _ in range(min(room, len(waiting) - len(self._starting))):
                self._start()
            ready: list[Any] = wait([*busy, *self._starting])
            for connection in ready:
                rows, state = _received(connection)
                if state == "dead":
                    self._bury(connection)
                if state == "idle":
                    self._stillborn = 0
                    idle.add(connection)
                if state != "busy":
                    busy.discard(connection)
                    self._starting.discard(connection)
                if rows:
                    yield rows

    def _bury(self, connection: Connection) -> None:
        self._pool.pop(connection).join()
        self._on.pop(connection, None)
        connection.close()
        self._stillborn += connection in self._starting
        if self._stillborn == STARTS:
            raise SweepError(
                "the worker processes end as soon as they start, for the reason printed above; a "
                'script that sweeps has its work under `if __name__ == "__main__":`.'
            )

    def _place(self) -> tuple[str, float]:
        """The GPU with the fewest processes, if there are any, and a process's share of it."""
        gpu = min(self._gpus, key=[*self._on.values()].count, default="")
        return gpu, 1 / math.ceil(self.workers / max(len(self._gpus), 1))

    def _start(self) -> None:
        # A fork server has torch imported once; a plain fork of a process with threads may hang,
        # and one that has seen a GPU cannot use it.
        if "forkserver" in get_all_start_methods() and not self._gpus:
            from multiprocessing import forkserver  # which not every system has

            context: Any = get_context("forkserver")
            context.set_forkserver_preload(["adapters.sweeping.worker"])
            with _one_thread(), _deaf():
                forkserver.ensure_running()
        else:
            context = get_context("spawn")
        ours: Connection
        ours, theirs = context.Pipe()
        gpu, share = self._place()
        process = context.Process(
            target=_serve, args=(theirs, self.worker, self.device, gpu, share), daemon=True
        )
        if context.get_start_method() == "spawn":
            with _one_thread(), _deaf():
                process.start()
        else:  # which waits for what the server imports, and hears Ctrl-C meanwhile
            process.start()
        theirs.close()
        self._pool[ours] = process
        self._starting.add(ours)
        if gpu:
            self._on[ours] = gpu


def engine(options: EngineOptions) -> Local:
    """One process a core, or a GPU, unless `jobs` says how many."""
    if options.device.startswith("cuda"):
        return Local(options.jobs or max(len(gpus(options.device)), 1), options.device)
    return Local(options.jobs or cores(), options.device)


def gpus(device: str) -> list[str]:
    """The GPUs that a name stands for, as `CUDA_VISIBLE_DEVICES` names them: `cuda` is all."""
    kind, _, number = device.partition(":")
    count = torch.cuda.device_count() if kind == "cuda" else 0
    seen = os.environ.get(VISIBLE) or ",".join(map(str, range(count)))
    every = seen.split(",")[:count]
    return every if not number else every[int(number) :][:1]


def _received(connection: Connection) -> tuple[list[Row], str]:
    """All rows that have come, and whether the worker is busy, idle or dead."""
    rows: list[Row] = []
    try:
        while connection.poll():
            portion = connection.recv()
            if portion is None:
                return rows, "idle"
            rows += portion
    except (EOFError, OSError):
        return rows, "dead"
    return rows, "busy"


def _serve(
    connection: Connection, kind: type[Worker], device: str, gpu: str = "", share: float = 1.0
) -> None:
    """A worker process: chunks in, portions of rows out, None when it waits for a chunk."""
    if gpu:  # which is then the only one; read when CUDA starts
        os.environ[VISIBLE], device = gpu, "cuda"
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to answer
    torch.set_num_threads(1)
    worker = kind(device)
    worker.share = share
    try:
        while True:
            connection.send(None)
            for rows in portions(worker.rows(connection.recv())):
                connection.send(rows)
    except (EOFError, OSError):  # the driver has gone
        return


@contextmanager
def _one_thread() -> Iterator[None]:
    """Processes started meanwhile have one thread in every numerical library."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@contextmanager
def _deaf() -> Iterator[None]:
    """Processes started meanwhile do not hear Ctrl-C even while they import, which is the driver's.

    Only the main thread may say so.
    """
    if current_thread() is not main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)
