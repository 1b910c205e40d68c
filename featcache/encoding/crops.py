"""Pictures to crops: workers read, decode and crop ahead of the model, results stay in order."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from featcache.datasets.checks import is_special
from featcache.datasets.dataset import Dataset, Item
from featcache.encoding.plan import Unit
from featcache.errors import PictureError
from featcache.pictures.decode import Pixels, cropped, decode
from featcache.pictures.preprocess import Preprocess, crop_resize, fit_square
from featcache.pictures.views import ViewRecipe, view

MOST_WORKERS = 16
AHEAD = 4  # pictures under way for each worker
Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Wanted:
    """A picture, and which of its crops are wanted."""

    item: Item
    centre: bool
    views: bool


@dataclass(frozen=True)
class Crops:
    """One decoded picture: its centre crop and views, or why there are none; seconds it took."""

    centre: Pixels | None
    views: list[Pixels]
    reason: str
    read: float
    decode: float


def wanted_of(units: Iterable[Unit], dataset: Dataset) -> Iterator[Wanted]:
    """The pictures of these units in order."""
    for unit in units:
        with_views = set(unit.view_rows)
        for row in unit.rows:
            yield Wanted(dataset.splits[unit.split][row], bool(unit.centre), row in with_views)


@contextmanager
def crops_ahead(
    pictures: Iterator[Wanted], recipe: ViewRecipe, preprocess: Preprocess, workers: int = 0
) -> Iterator[Iterator[Crops]]:
    """Crops in the order of the pictures, made by so many threads (0: one a core, at most 16)."""
    workers = workers or min(MOST_WORKERS, os.cpu_count() or 1)
    pool = ThreadPoolExecutor(workers)
    work = partial(crops_of, recipe=recipe, preprocess=preprocess)
    try:
        yield _in_order(pool, work, pictures, AHEAD * workers)
    finally:
        # After Ctrl-C nobody wants to wait for pictures that were to be decoded ahead.
        pool.shutdown(wait=True, cancel_futures=True)


def crops_of(wanted: Wanted, recipe: ViewRecipe, preprocess: Preprocess) -> Crops:
    """The crops of one picture; one that cannot be read gives its reason instead of an error."""
    began = read = time.perf_counter()
    item = wanted.item
    try:
        content = _read(item.source) if isinstance(item.source, Path) else item.source
        read = time.perf_counter()
        pixels = cropped(decode(content), item.box)
        centre = fit_square(pixels, preprocess) if wanted.centre else None
        views = list(_views(item.id, pixels, recipe, preprocess)) if wanted.views else []
        return Crops(centre, views, "", read - began, time.perf_counter() - read)
    except PictureError as error:
        return Crops(None, [], str(error), read - began, time.perf_counter() - read)
    except OSError as error:
        return Crops(None, [], error.strerror or "cannot be read", read - began, 0.0)


def _read(path: Path) -> bytes:
    if is_special(path):  # put there since the folder was listed; it would never end
        raise PictureError("is a pipe, socket or device.")
    return path.read_bytes()


def _views(
    item_id: str, pixels: Pixels, recipe: ViewRecipe, preprocess: Preprocess
) -> Iterator[Pixels]:
    for index in range(1, recipe.count + 1):
        box = view(recipe, item_id, index, *pixels.shape[:2])
        yield crop_resize(pixels, box, preprocess)


def _in_order(
    pool: ThreadPoolExecutor, work: Callable[[Job], Result], jobs: Iterator[Job], depth: int
) -> Iterator[Result]:
    """Results in the order of the jobs, `depth` of them under way at a time."""
    pending: deque[Future[Result]] = deque()
    for job in jobs:
        pending.append(pool.submit(work, job))
        if len(pending) >= depth:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()
