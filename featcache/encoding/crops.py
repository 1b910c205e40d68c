"""Pictures to crops: workers read, decode and crop ahead of the model, results stay in order."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from featcache.datasets.dataset import Dataset, Item
from featcache.encoding.plan import Unit
from featcache.encoding.taking import Known, Place
from featcache.errors import PictureError
from featcache.pictures.decode import Pixels, cropped, decode
from featcache.pictures.digest import UNKNOWN, Content, State, state_of
from featcache.pictures.digest import read as read_picture
from featcache.pictures.preprocess import Preprocess, crop_resize, fit_square
from featcache.pictures.views import ViewRecipe, view

MOST_WORKERS = 16
NOTHING = Known()
AHEAD = 4  # pictures under way for each worker
Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Wanted:
    """A picture, which of its crops are wanted, and the digest of its bytes where it is known."""

    item: Item
    centre: bool
    views: bool
    digest: str = ""


@dataclass(frozen=True)
class Crops:
    """One picture: its centre crop and views, or where their features lie, or why there are none.

    `digest` is of the bytes that were read, `state` the file's before; seconds that both took.
    """

    centre: Pixels | None
    views: list[Pixels]
    reason: str
    read: float
    decode: float
    digest: str = ""
    state: State = UNKNOWN
    centre_at: Place | None = None
    views_at: Place | None = None


def wanted_of(
    units: Iterable[Unit], dataset: Dataset, digests: Mapping[str, Mapping[int, str]]
) -> Iterator[Wanted]:
    """The pictures of these units in order; `digests` are those known, by split and row."""
    for unit in units:
        with_views, known = set(unit.view_rows), digests.get(unit.split, {})
        for row in unit.rows:
            item = dataset.splits[unit.split][row]
            yield Wanted(item, bool(unit.centre), row in with_views, known.get(row, ""))


@contextmanager
def crops_ahead(
    pictures: Iterator[Wanted],
    recipe: ViewRecipe,
    preprocess: Preprocess,
    workers: int = 0,
    known: Known = NOTHING,
) -> Iterator[Iterator[Crops]]:
    """Crops in the order of the pictures, made by so many threads (0: one a core, at most 16)."""
    workers = workers or min(MOST_WORKERS, os.cpu_count() or 1)
    pool = ThreadPoolExecutor(workers)
    work = partial(crops_of, recipe=recipe, preprocess=preprocess, known=known)
    try:
        yield _in_order(pool, work, pictures, AHEAD * workers)
    finally:
        # After Ctrl-C nobody wants to wait for pictures that were to be decoded ahead.
        pool.shutdown(wait=True, cancel_futures=True)


def crops_of(
    wanted: Wanted, recipe: ViewRecipe, preprocess: Preprocess, known: Known = NOTHING
) -> Crops:
    """The crops of one picture; one that cannot be read gives its reason instead of an error.

    What is `known` of its bytes is not made again.
    """
    began = read = time.perf_counter()
    item, digest, state = wanted.item, wanted.digest, state_of(wanted.item, time.time_ns())
    try:
        content: Content | None = None
        if not digest or not _all_known(wanted, digest, known):
            content = read_picture(item)
            digest = content.digest
        read = time.perf_counter()
        centre_at = known.of_centre(digest) if wanted.centre else None
        views_at = known.of_views(digest) if wanted.views else None
        make_centre = wanted.centre and centre_at is None
        make_views = wanted.views and views_at is None
        centre, views = None, list[Pixels]()
        if content and (make_centre or make_views):
            held = content.held
            pixels = cropped(decode(held) if isinstance(held, bytes) else held, item.box)
            centre = fit_square(pixels, preprocess) if make_centre else None
            views = list(_views(item.id, pixels, recipe, preprocess)) if make_views else []
        spent = read - began, time.perf_counter() - read
        return Crops(centre, views, "", *spent, digest, state, centre_at, views_at)
    except PictureError as error:
        reason, spent = str(error), (read - began, time.perf_counter() - read)
    except OSError as error:
        reason, spent = error.strerror or "cannot be read", (read - began, 0.0)
    return Crops(None, [], reason, *spent, digest, state)


def _all_known(wanted: Wanted, digest: str, known: Known) -> bool:
    return bool(
        (not wanted.centre or known.of_centre(digest))
        and (not wanted.views or known.of_views(digest))
    )


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
