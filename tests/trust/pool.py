"""Tasks dealt to warm processes, each with a folder of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import TypeVar

from tests.trust.warm import Warm

Task, Found = TypeVar("Task"), TypeVar("Found")


def side_by_side(
    one: Callable[[Task, Warm, Path], Found],
    tasks: Sequence[Task],
    warm: Sequence[Warm],
    name: Path,
) -> Iterator[Found]:
    """What `one` finds for each task, in their order; folders are `name` with a number."""
    free = Queue[tuple[Warm, Path]]()
    for i, each in enumerate(warm):
        free.put((each, name.with_name(f"{name.name}-{i}")))

    def taken(task: Task) -> Found:
        mine, folder = free.get()
        try:
            return one(task, mine, folder)
        finally:
            free.put((mine, folder))

    with ThreadPoolExecutor(len(warm)) as pool:
        yield from pool.map(taken, tasks)
