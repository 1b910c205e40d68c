"""Decoding in processes of their own, which write crops into memory that is shared.

Threads of one process stand in each other's way beyond some eight of them. Here each thread of the
pool has a process that it hands chunks of pictures to and waits for; until that is up it decodes by
itself.
"""

from __future__ import annotations

import mmap
import os
import pickle
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from itertools import islice
from multiprocessing.connection import wait
from pathlib import Path
from queue import SimpleQueue
from threading import local
from typing import IO

from featcache.datasets.kinds._arrow import Cell
from featcache.encoding.decoding.crops import (
    Asked,
    Given,
    Maker,
    announced,
    cores,
    crops_for_all,
    item_of,
    size_of_crops,
)
from featcache.encoding.decoding.fetching import Coming, fetching
from featcache.encoding.decoding.forking import SURROUNDINGS, waiting
from featcache.encoding.decoding.serving import OTHERS, SLOT, send
from featcache.errors import CacheError, ConfigError, DatasetError, PictureError
from featcache.pictures.limit import most_pixels

WHERE = ("auto", "threads", "processes", "card")
AHEAD = 2  # chunks under way for each process
SHARED = Path("/dev/shm")
MOST = 64  # processes
WORTH = 10_000  # crops: with fewer, starting the processes takes longer than they save
MANY = 8  # cores, beyond which threads gain little
ENDED = (
    "a process that decodes pictures has ended; run the same again, it goes on where it was, or "
    "add --decode-in threads."
)
GRACE = 0.05  # seconds in which a process that waits takes up its work


def chosen(where: str, makers: Sequence[Maker], crops: int, on_cpu: bool) -> bool:
    """Whether so many crops are made in processes, by `where`: one of `WHERE`.

    Not where rows are known already, as what is known lies in
    this process, and where memory is not shared by open files. Where the models run on the CPU it
    has no cores to spare. Raises `ConfigError` for other words.
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

    `workers` 0 is one a core and some, at most 64. Raises `CacheError` where a process ends early.
    """
    workers = workers or usual_workers()
    depth = AHEAD * workers
    chunk = max(1, SLOT // size_of_crops(makers))
    with _shared((depth + 1) * SLOT) as file:
        memory = mmap.mmap(file.fileno(), (depth + 1) * SLOT)
        team = _Team(makers, file.fileno(), memory, workers)
        pool = ThreadPoolExecutor(workers)
        try:
            with fetching(workers) as fetch:
                coming = announced(pictures, makers, fetch)
                yield _in_order(pool, team, coming, chunk, depth)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            team.dismiss()


def usual_workers() -> int:
    """A few more than cores: one that has answered waits a moment for what is next."""
    return min(MOST, cores() + cores() // 4)


def _shared(size: int) -> IO[bytes]:
    """A file of so many bytes that is gone when it is closed, in memory where there is room.

    The room is taken at once: a process that writes where a disk has no more is killed. Raises
    `CacheError` where there is none.
    """
    for place in (SHARED, None):
        if place is not None and not _is_roomy(place, size):
            continue
        try:
            with ExitStack() as held:
                file = held.enter_context(tempfile.TemporaryFile(dir=place))
                file.truncate(size)
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(file.fileno(), 0, size)
                held.pop_all()
                return file
        except OSError as error:
            reason = error.strerror
    raise CacheError(
        f"there is no room for the {size >> 20} MB that decoding processes share, in {SHARED} or "
        f"the temporary folder ({reason}); make some, set TMPDIR, or add --decode-in threads."
    )


def _is_roomy(folder: Path, size: int) -> bool:
    """Whether a folder has room for twice as many bytes: others may want some."""
    try:
        held = os.statvfs(folder)
    except OSError:
        return False
    return held.f_bavail * held.f_frsize > 2 * size and os.access(folder, os.W_OK)


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
    """Processes, one for each thread that asks."""

    def __init__(self, makers: Sequence[Maker], file: int, memory: mmap.mmap, workers: int) -> None:
        self.makers, self.memory, self.mine = makers, memory, local()
        # Where paths begin that are not whole: what the processes are forked from may be older.
        begin = (
            [(each.recipe, each.preprocess) for each in makers],
            most_pixels(),
            Path.cwd(),
            {**os.environ, **SURROUNDINGS},
        )
        self.pipes: SimpleQueue[tuple[IO[bytes], IO[bytes]]] = SimpleQueue()
        self.all: list[IO[bytes]] = []
        try:
            self.waiting = waiting(os.getpid())
        except OSError as error:
            raise CacheError(ENDED) from error
        for _ in range(workers):
            (asked, asking), (answer, answering) = os.pipe(), os.pipe()
            pair = os.fdopen(asking, "wb"), os.fdopen(answer, "rb")
            self.pipes.put(pair)
            self.all += pair
            send(pair[0], begin)
            try:
                self.waiting.take(asked, answering, file)
            except OSError as error:
                raise self._ended() from error

    def crops(self, jobs: list[Asked], slot: int) -> list[Given]:
        """The crops of a chunk by this thread's process, in the slot; its own until that is up."""
        try:
            asked = pickle.dumps([_at_hand(job) for job in jobs], protocol=5)
        except DatasetError:  # a store that cannot be reached
            raise
        except Exception as error:  # whatever it is that a picture's own class raises
            raise CacheError(OTHERS.format(error)) from error
        try:
            if not hasattr(self.mine, "pipes"):
                self.mine.pipes, self.mine.up = self.pipes.get(), False
            asking, answer = self.mine.pipes
            if not self.mine.up:
                if not _is_up(answer):
                    return crops_for_all(jobs, self.makers)
                self.mine.up = pickle.load(answer)
            send(asking, (asked, slot))
            sizes, content, failed = pickle.load(answer)
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise self._ended() from error
        if failed:
            raise CacheError(failed)
        view, at, buffers = memoryview(self.memory), slot * SLOT, []
        for size in sizes:
            buffers.append(view[at : at + size])
            at += size
        found: list[Given] = pickle.loads(content, buffers=buffers)
        return found

    def dismiss(self) -> None:
        """Let all processes wait for others, by having no more to ask of them."""
        for pipe in self.all:
            if pipe.writable():  # a fork of this process may hold the pipe open
                with suppress(OSError):  # they have ended by themselves
                    send(pipe, None)
            with suppress(OSError):
                pipe.close()
        self.waiting.give_back(len(self.all) // 2)

    def _ended(self) -> CacheError:
        """What is said of a process that is gone; the next team has others."""
        waiting.cache_clear()
        self.waiting.end()
        return CacheError(ENDED)


def _is_up(answer: IO[bytes]) -> bool:
    """Whether a process has taken up its work (or has ended, which shows when it is asked)."""
    return bool(wait([answer.fileno()], GRACE))


def _at_hand(asked: Asked) -> Asked:
    """The picture with its bytes where they are read here: of groups of rows, and far ones."""
    item = item_of(asked)
    if not isinstance(item.source, Cell | Coming):
        return asked
    try:
        item = replace(item, source=item.source.held())
    except (OSError, PictureError):
        return asked  # told where it is read again
    return tuple(each and replace(each, item=item) for each in asked)


def warm_up(device: str = "auto") -> None:
    """Have processes ready where pictures for that device may want them soon."""
    import torch

    if os.name == "posix" and device != "cpu" and cores() >= MANY and torch.cuda.is_available():
        with suppress(OSError):  # which is told when they are asked
            waiting(os.getpid()).have(usual_workers())
