"""Pictures to crops: workers read, decode and crop ahead of the model, results stay in order."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from featcache.datasets.dataset import Dataset, Item
from featcache.datasets.remote import Remote
from featcache.encoding.decoding.fetching import ANNOUNCED, Fetching, fetching
from featcache.encoding.plan import Unit
from featcache.encoding.taking import Known, Place
from featcache.errors import PictureError
from featcache.pictures.card import OnCard
from featcache.pictures.decode import Pixels, cropped, decode, plain_jpeg
from featcache.pictures.digest import UNKNOWN, Content, State, state_of
from featcache.pictures.digest import read as read_picture
from featcache.pictures.preprocess import Preprocess, crop_resize, fit_square
from featcache.pictures.views import View, ViewRecipe, view

MOST_WORKERS = 16
NOTHING = Known()
AHEAD = 4  # pictures under way for each worker at least
# Small crops wait by the hundred: workers go on while a model with one thread is at its batch.
WAITING, MOST_AHEAD = 1 << 20, 512  # bytes of crops, pictures
# Workers are handed several pictures at once: each hand-over costs all of them time.
TOGETHER, CHUNK = 4, 4 << 20  # pictures at least, bytes of crops at most
Digests = Mapping[str, Mapping[int, str]]  # of pictures, by split and row
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
class Coded:
    """A picture that a card is to decode: its bytes, and which crops are made of it there.

    `area` is its height times its width.
    """

    content: NDArray[np.uint8]
    centre: bool
    views: list[View]
    area: int

    def pixels(self, side: int) -> int:
        """How many pixels it has with its crops of that side."""
        return self.area + (self.centre + len(self.views)) * side**2


@dataclass(frozen=True)
class Crops:
    """One picture: its centre crop and views, or where their features lie, or why there are none.

    `digest` is of the bytes that were read, `state` the file's before; seconds that both took.
    `coded` stands for the crops where they are made on a card.
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
    coded: Coded | None = None


def wanted_of(
    units: Sequence[Unit | None], dataset: Dataset, digests: Sequence[Digests]
) -> Iterator[Asked]:
    """The pictures of one place's units in order, a unit or none for each maker.

    `digests` are those that each knows, by split and row.
    """
    there = [unit for unit in units if unit is not None]
    views = [set(unit.view_rows) if unit else set() for unit in units]
    rows = [set(unit.rows) if unit else set() for unit in units]
    for row in sorted(set().union(*rows)):
        item = dataset.splits[there[0].split][row]
        yield tuple(
            Wanted(item, bool(unit.centre), row in seen, known.get(unit.split, {}).get(row, ""))
            if unit and row in mine
            else None
            for unit, mine, seen, known in zip(units, rows, views, digests, strict=True)
        )


@dataclass(frozen=True)
class Maker:
    """What one backbone wants of pictures: its views and preprocessing, and what it has already."""

    recipe: ViewRecipe
    preprocess: Preprocess
    known: Known = field(default_factory=Known)


Asked = tuple[Wanted | None, ...]  # of one picture, what each maker wants of it
Given = tuple[Crops | None, ...]


def cores() -> int:
    """How many cores this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


@contextmanager
def crops_ahead(
    pictures: Iterator[Asked], makers: Sequence[Maker], workers: int = 0
) -> Iterator[Iterator[Given]]:
    """Crops in the order of the pictures, made by so many threads (0: one a core, at most 16)."""
    workers = workers or min(MOST_WORKERS, cores())
    size = size_of_crops(makers)
    chunk = max(1, min(max(TOGETHER, workers), CHUNK // size))
    ahead = max(AHEAD * workers, min(MOST_AHEAD, WAITING // size))
    depth = max(AHEAD // 2 * workers, ahead // chunk)
    pool = ThreadPoolExecutor(workers)
    try:
        with fetching(workers) as fetch:
            coming = announced(pictures, makers, fetch)
            jobs = iter(lambda: tuple(islice(coming, chunk)), ())
            yield _in_order(pool, partial(crops_for_all, makers=makers), jobs, depth)
    finally:
        # After Ctrl-C nobody wants to wait for pictures that were to be decoded ahead.
        pool.shutdown(wait=True, cancel_futures=True)


def announced(
    pictures: Iterator[Asked], makers: Sequence[Maker], fetch: Fetching
) -> Iterator[Asked]:
    """The same pictures; those in a store are asked for well ahead where they are to be read."""
    queue = deque[Asked]()
    for asked in pictures:
        item = item_of(asked)
        if isinstance(item.source, Remote) and _unknown(asked, makers):
            item = fetch.coming(item)
            asked = tuple(each and replace(each, item=item) for each in asked)
        queue.append(asked)
        if len(queue) > ANNOUNCED:
            yield queue.popleft()
    yield from queue


def item_of(asked: Asked) -> Item:
    """The picture that is asked for."""
    return next(each.item for each in asked if each is not None)


def crops_of(
    wanted: Wanted, recipe: ViewRecipe, preprocess: Preprocess, known: Known = NOTHING
) -> Crops:
    """The crops of one picture; one that cannot be read gives its reason instead of an error.

    What is `known` of its bytes is not made again.
    """
    (found,) = crops_for((wanted,), [Maker(recipe, preprocess, known)])
    assert found is not None
    return found


def crops_for(asked: Asked, makers: Sequence[Maker]) -> Given:
    """The crops of one picture for each maker that wants some; it is read and decoded once."""
    (found,) = crops_for_all((asked,), makers)
    return found


def crops_for_all(jobs: Sequence[Asked], makers: Sequence[Maker]) -> list[Given]:
    """The same of several pictures."""
    pictures = [_Picture(item_of(job)) for job in jobs]
    return [
        tuple(
            None if wanted is None else _made(picture, wanted, maker)
            for wanted, maker in zip(job, makers, strict=True)
        )
        for picture, job in zip(pictures, jobs, strict=True)
    ]


def _unknown(asked: Asked, makers: Sequence[Maker]) -> bool:
    """Whether a picture has to be read for somebody."""
    return any(
        wanted and not (wanted.digest and _all_known(wanted, wanted.digest, maker.known))
        for wanted, maker in zip(asked, makers, strict=True)
    )


def size_of_crops(makers: Sequence[Maker]) -> int:
    """How many bytes the crops of one picture take at most."""
    return sum(3 * m.preprocess.size**2 * (1 + m.recipe.count) for m in makers)


class _Picture:
    """A picture that is read and decoded when that is first asked for, or the error of that."""

    def __init__(self, item: Item) -> None:
        self.item, self.state = item, state_of(item, time.time_ns())
        self._content: Content | None = None
        self._pixels: Pixels | None = None
        self._error: PictureError | OSError | None = None

    @property
    def content(self) -> Content:
        if self._content is None:
            self._content = self._once(lambda: read_picture(self.item))
        return self._content

    @property
    def pixels(self) -> Pixels:
        if self._pixels is None:
            held = self.content.held
            self._pixels = self._once(
                lambda: cropped(decode(held) if isinstance(held, bytes) else held, self.item.box)
            )
        return self._pixels

    def _once(self, make: Callable[[], Result]) -> Result:
        if self._error is not None:
            raise self._error
        try:
            return make()
        except (PictureError, OSError) as error:
            self._error = error
            raise


def _made(picture: _Picture, wanted: Wanted, maker: Maker) -> Crops:
    began = read = time.perf_counter()
    digest, known, preprocess = wanted.digest, maker.known, maker.preprocess
    try:
        content: Content | None = None
        if not digest or not _all_known(wanted, digest, known):
            content = picture.content
            digest = content.digest
        read = time.perf_counter()
        centre_at = known.of_centre(digest) if wanted.centre else None
        views_at = known.of_views(digest) if wanted.views else None
        make_centre = wanted.centre and centre_at is None
        make_views = wanted.views and views_at is None
        centre, views = None, list[Pixels]()
        coded = _coded(content, wanted, maker, make_centre, make_views)
        if content and not coded and (make_centre or make_views):
            pixels = picture.pixels
            centre = fit_square(pixels, preprocess) if make_centre else None
            if make_views:
                views = list(_views(wanted.item.id, pixels, maker.recipe, preprocess))
        spent = read - began, time.perf_counter() - read
        return Crops(centre, views, "", *spent, digest, picture.state, centre_at, views_at, coded)
    except PictureError as error:
        reason, spent = str(error), (read - began, time.perf_counter() - read)
    except OSError as error:
        reason, spent = error.strerror or "cannot be read", (read - began, 0.0)
    return Crops(None, [], reason, *spent, digest, picture.state)


def _coded(
    content: Content | None, wanted: Wanted, maker: Maker, centre: bool, views: bool
) -> Coded | None:
    """The picture for a card to decode, where it can and something is to be made of it."""
    held = content.held if content else None
    if not isinstance(maker.preprocess, OnCard) or not isinstance(held, bytes) or wanted.item.box:
        return None
    if not (centre or views) or not (size := plain_jpeg(held)):
        return None
    indices = range(1, maker.recipe.count + 1) if views else ()
    coded = np.frombuffer(held, np.uint8)
    views_of = [view(maker.recipe, wanted.item.id, i, *size) for i in indices]
    return Coded(coded, centre, views_of, size[0] * size[1])


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
    pool: ThreadPoolExecutor,
    work: Callable[[Job], Sequence[Result]],
    jobs: Iterator[Job],
    depth: int,
) -> Iterator[Result]:
    """Results in the order of the jobs, which have several, `depth` jobs under way at a time."""
    pending: deque[Future[Sequence[Result]]] = deque()
    for job in jobs:
        pending.append(pool.submit(work, job))
        if len(pending) >= depth:
            yield from pending.popleft().result()
    while pending:
        yield from pending.popleft().result()
