"""Decoding in processes of their own, which write crops into memory that is shared.

Threads of one process stand in each other's way beyond some eight of them. Here each thread of the
pool has a process that it hands chunks of pictures to and waits for. A process is a fresh Python
that runs this file: nothing is forked, and no script of the caller is run again. It ends when its
input does, as when the caller is killed.
"""

from __future__ import annotations

import mmap
import os
import pickle
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from threading import local
from typing import IO, Any

from featcache.encoding.crops import Asked, Given, Maker, cores, crops_for, size_of_crops
from featcache.errors import CacheError, ConfigError
from featcache.pictures.limit import limit_pixels, most_pixels

SLOT = 4 << 20  # bytes of crops that a chunk may fill; what has no room is sent in the message
WHERE = ("auto", "threads", "processes")
AHEAD = 2  # chunks under way for each process
SHARED = Path("/dev/shm")
MOST = 64  # processes
WORTH = 10_000  # crops: with fewer, starting the processes takes longer than they save
MANY = 8  # cores, beyond which threads gain little
# One thread each, and memory that is kept rather than given back and faulted in for each picture.
SURROUNDINGS = {
    "OMP_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(64 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
}


def chosen(where: str, makers: Sequence[Maker], crops: int, on_cpu: bool) -> bool:
    """Whether so many crops are made in processes, by `where`: auto, threads or processes.

    Not where rows are known already, as what is known lies in this process, and where memory is
    not shared by open files. Where the models run on the CPU it has no cores to spare. Raises
    `ConfigError` for other words.
    """
    if where not in WHERE:
        raise ConfigError(f"pictures are decoded in {', '.join(WHERE)}, not in {where}.")
    known = any(maker.known.centre or maker.known.views for maker in makers)
    if where == "threads" or known or os.name != "posix":
        return False
    return where == "processes" or (not on_cpu and crops >= WORTH and cores() >= MANY)


@contextmanager
def crops_from_processes(
    pictures: Iterator[Asked], makers: Sequence[Maker], workers: int = 0
) -> Iterator[Iterator[Given]]:
    """Crops in the order of the pictures; those of one are to be copied before the next is asked.

    `workers` 0 is one a core, at most 64. Raises `CacheError` where a process ends early.
    """
    workers = workers or min(MOST, cores())
    depth = AHEAD * workers
    with tempfile.TemporaryFile(dir=_roomy((depth + 1) * SLOT)) as file:
        file.truncate((depth + 1) * SLOT)
        memory = mmap.mmap(file.fileno(), (depth + 1) * SLOT)
        team = _Team(makers, file.fileno(), memory)
        pool = ThreadPoolExecutor(workers)
        try:
            chunk = max(1, SLOT // size_of_crops(makers))
            yield _in_order(pool, team, pictures, chunk, depth)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            team.dismiss()


def _roomy(size: int) -> Path | None:
    """A folder in memory with room for that many bytes, or none: then the usual temporary one."""
    try:
        held = os.statvfs(SHARED)
    except OSError:
        return None
    return (
        SHARED if held.f_bavail * held.f_frsize > 2 * size and os.access(SHARED, os.W_OK) else None
    )


def _in_order(
    pool: ThreadPoolExecutor, team: _Team, pictures: Iterator[Asked], chunk: int, depth: int
) -> Iterator[Given]:
    slots, pending = deque(range(depth + 1)), deque[tuple[int, Future[list[Given]]]]()
    while True:
        while len(pending) < depth and (jobs := list(islice(pictures, chunk))):
            slot = slots.popleft()
            pending.append((slot, pool.submit(team.crops, jobs, slot)))
        if not pending:
            return
        slot, future = pending.popleft()
        yield from future.result()
        slots.append(slot)


class _Team:
    """The processes, one for each thread that asks."""

    def __init__(self, makers: Sequence[Maker], file: int, memory: mmap.mmap) -> None:
        self.makers = [(each.recipe, each.preprocess) for each in makers]
        self.file, self.memory = file, memory
        self.all: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
        self.mine = local()

    def crops(self, jobs: list[Asked], slot: int) -> list[Given]:
        """The crops of a chunk, by this thread's process; they lie in the slot."""
        try:
            if not hasattr(self.mine, "process"):
                self.mine.process = self._start()
            process: subprocess.Popen[bytes] = self.mine.process
            assert process.stdout is not None
            _send(process.stdin, (jobs, slot))
            sizes, content = pickle.load(process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise CacheError(
                "a process that decodes pictures has ended; run the same again, it goes on where "
                "it was, or add --decode-in threads."
            ) from error
        view, at, buffers = memoryview(self.memory), slot * SLOT, []
        for size in sizes:
            buffers.append(view[at : at + size])
            at += size
        found: list[Given] = pickle.loads(content, buffers=buffers)
        return found

    def dismiss(self) -> None:
        """Let all processes end."""
        while not self.all.empty():
            process = self.all.get()
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):  # it has ended by itself
                    if pipe is not None:
                        pipe.close()
            process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        path = os.pathsep.join(each or str(Path.cwd()) for each in sys.path)
        process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **SURROUNDINGS, "PYTHONPATH": path},
            pass_fds=[self.file],
            process_group=0,  # Ctrl-C is for the caller, who lets them end
        )
        self.all.put(process)
        _send(process.stdin, (self.makers, most_pixels(), self.file))
        return process


def _send(pipe: IO[bytes] | None, what: Any) -> None:
    assert pipe is not None
    pickle.dump(what, pipe, protocol=5)
    pipe.flush()


def serve(asking: IO[bytes], answering: IO[bytes]) -> None:
    """Decode what is asked for until there is no more."""
    makers, limit, file = pickle.load(asking)
    limit_pixels(limit)
    makers = [Maker(recipe, preprocess) for recipe, preprocess in makers]
    memory = memoryview(mmap.mmap(file, 0))
    while True:
        try:
            jobs, slot = pickle.load(asking)
        except EOFError:
            return
        sizes: list[int] = []
        at = slot * SLOT

        def place(buffer: pickle.PickleBuffer, sizes: list[int] = sizes, at: int = at) -> bool:
            """Whether it has to go into the message, as there is no room for it here."""
            raw, begin = buffer.raw(), at + sum(sizes)
            if begin + len(raw) > at + SLOT:
                return True
            memory[begin : begin + len(raw)] = raw
            sizes.append(len(raw))
            return False

        given = [crops_for(job, makers) for job in jobs]
        _send(answering, (sizes, pickle.dumps(given, protocol=5, buffer_callback=place)))


if __name__ == "__main__":
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)  # whatever prints does not speak to the caller
        serve(sys.stdin.buffer, answers)
