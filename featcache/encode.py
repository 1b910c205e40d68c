"""The pipeline: read, decode, batch, forward, write; every picture once, and resumable.

The work is cut into units of some 2,000 rows of a split (`featcache.plan`). A unit becomes one
image shard and, where few-shot draws can use its rows, one view shard; it is listed in the manifest
when both are on disk, so a killed run loses the unit at hand and nothing else. Batches never cross
a unit and the last one is padded: a unit's numbers do not depend on what was encoded before it.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from featcache import shards
from featcache.backbones import Backbone, encode_pictures, encode_prompts
from featcache.cache import Entry, FeatureCache, amend, put_text, reload, text_name
from featcache.datasets.dataset import SPLITS, Dataset, Item, Picture
from featcache.errors import CacheError, FeatcacheError, PictureError
from featcache.images import crop_resize, decode, fit_square
from featcache.plan import (
    NO_VIEWS,
    Unit,
    ViewSet,
    check_space,
    choose_views,
    find_entry,
    image_name,
    units_of,
    view_name,
    without_bad,
)
from featcache.prompts import PromptBank
from featcache.prompts import bank as own_bank
from featcache.views import ViewRecipe, view

Progress = Callable[[int, int], None]
Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass
class Report:
    """What a run did: pictures encoded and left as they were, seconds by stage, bad pictures.

    `read` and `decode` are summed over workers; `forward` and `write` are wall seconds.
    """

    entry: Entry
    encoded: int = 0
    skipped: int = 0
    crops: int = 0
    prompts: int = 0
    wall: float = 0.0
    seconds: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("read", "decode", "forward", "write"), 0.0)
    )
    bad: list[tuple[str, str]] = field(default_factory=list)


def encode_dataset(
    dataset: Dataset,
    backbone: Backbone,
    cache: FeatureCache,
    *,
    splits: Sequence[str] | None = None,
    bank: PromptBank | None = None,
    views: ViewRecipe | None = None,
    views_for: str = "few-shot",
    batch_size: int = 256,
    workers: int = 0,
    part: tuple[int, int] = (1, 1),
    retry_bad: bool = False,
    progress: Progress = lambda done, total: None,
) -> Report:
    """Bring the cache to hold the data set's splits, views and prompts, and say what was done.

    `views_for` is `few-shot` (the union of CoOp's draws for 1 to 16 shots, seeds 1 to 3) or
    `all`. `part = (i, n)` does the i-th of n parts of the work, i from 1. What is there already
    is not read again. Raises `CacheError` where the disk refuses or is too full.
    """
    began = time.perf_counter()
    asked = [s for s in SPLITS if s in (splits or dataset.splits)]
    if unknown := sorted(set(splits or ()) - set(dataset.splits)):
        have = ", ".join(dataset.splits)
        raise CacheError(f"{dataset.name} has no split {unknown[0]!r}; it has {have}.")
    if not 1 <= part[0] <= part[1]:
        raise CacheError(f"part {part[0]}/{part[1]} does not exist; give 1/N to N/N.")
    entry = find_entry(dataset, backbone, cache)
    wanted = choose_views(entry, views, views_for) if views and "train" in asked else NO_VIEWS
    entry = _announce(entry, asked, wanted, retry_bad)
    units = units_of(entry, dataset, asked, wanted)[part[0] - 1 :: part[1]]
    todo = [unit for unit in units if unit.centre or unit.view_rows]
    total = sum(unit.crops(wanted.recipe.count) for unit in todo)
    check_space(entry, backbone.width, total)

    report = Report(entry)
    if part[0] == 1:
        report.prompts = _encode_text(entry, backbone, bank or own_bank(None, dataset))
    pictures = _Pictures(dataset, backbone, wanted.recipe, batch_size, workers, report, progress)
    for unit, images, view_arrays in pictures.run(todo, total):
        began_write = time.perf_counter()
        _write_unit(entry, unit, images, view_arrays, wanted.name)
        report.seconds["write"] += time.perf_counter() - began_write
    report.entry = reload(entry)
    report.encoded = sum(u.stop - u.start for u in todo if u.centre)
    report.skipped = sum(u.stop - u.start for u in units) - report.encoded
    report.bad = report.entry.bad_pictures()
    report.wall = time.perf_counter() - began
    return report


def embed(
    backbone: Backbone, sources: Sequence[Path | Picture], batch_size: int = 64
) -> NDArray[np.float32]:
    """Raw embeddings `[n, d]` of pictures that belong to no data set, in order.

    Raises `PictureError` at the first that cannot be read.
    """
    out = np.zeros((len(sources), backbone.width), np.float32)
    batches = _Batches(backbone, out, min(batch_size, max(1, len(sources))))
    for row, source in enumerate(sources):
        batches.add(row, fit_square(decode(source), backbone.preprocess))
    batches.flush()
    return out


class _Batches:
    """Collects crops into batches of one fixed shape and puts embeddings where they belong."""

    def __init__(self, backbone: Backbone, out: NDArray[np.float32], size: int) -> None:
        side = backbone.preprocess.size
        self.backbone, self.out, self.rows = backbone, out, list[int]()
        self.buffer = np.zeros((size, side, side, 3), np.uint8)
        self.seconds, self.done = 0.0, 0

    def add(self, row: int, crop: NDArray[np.uint8]) -> None:
        self.buffer[len(self.rows)] = crop
        self.rows.append(row)
        if len(self.rows) == len(self.buffer):
            self.flush()

    def flush(self) -> None:
        if not self.rows:
            return
        began = time.perf_counter()
        self.buffer[len(self.rows) :] = 0
        self.out[self.rows] = encode_pictures(self.backbone, self.buffer)[: len(self.rows)]
        self.seconds += time.perf_counter() - began
        self.done += len(self.rows)
        self.rows = []


@dataclass(frozen=True)
class _Crops:
    """One decoded picture: its centre crop and views, or why there are none."""

    centre: NDArray[np.uint8] | None
    views: list[NDArray[np.uint8]]
    reason: str
    read: float
    decode: float


@dataclass
class _Pictures:
    """Turns units into arrays: workers decode ahead, the calling thread runs the model."""

    dataset: Dataset
    backbone: Backbone
    recipe: ViewRecipe
    batch_size: int
    workers: int
    report: Report
    progress: Progress

    def run(self, units: list[Unit], total: int) -> Iterator[tuple[Unit, Any, Any]]:
        workers = self.workers or min(16, os.cpu_count() or 1)
        self.progress(0, total)
        with _pool(workers) as pool:
            crops = _ahead(pool, self._crops, self._jobs(units), 4 * workers)
            for unit in units:
                yield unit, *self._unit(unit, crops, total)

    def _jobs(self, units: list[Unit]) -> Iterator[tuple[Item, bool, bool]]:
        for unit in units:
            wanted = set(unit.view_rows)
            for row in self._rows(unit):
                yield self.dataset.splits[unit.split][row], unit.centre, row in wanted

    def _rows(self, unit: Unit) -> Sequence[int]:
        return range(unit.start, unit.stop) if unit.centre else unit.view_rows

    def _crops(self, job: tuple[Item, bool, bool]) -> _Crops:
        item, centre, views = job
        began = time.perf_counter()
        read = began
        try:
            source = item.source
            content = source.read_bytes() if isinstance(source, Path) else source
            read = time.perf_counter()
            pixels = decode(content)
            crop = fit_square(pixels, self.backbone.preprocess) if centre else None
            augmented = list(self._augment(item.id, pixels)) if views else []
            return _Crops(crop, augmented, "", read - began, time.perf_counter() - read)
        except PictureError as error:
            return _Crops(None, [], str(error), read - began, time.perf_counter() - read)
        except OSError as error:
            return _Crops(None, [], error.strerror or "cannot be read", read - began, 0.0)

    def _augment(self, item_id: str, pixels: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
        for index in range(1, self.recipe.count + 1):
            box = view(self.recipe, item_id, index, *pixels.shape[:2])
            yield crop_resize(pixels, box, self.backbone.preprocess)

    def _unit(self, unit: Unit, crops: Iterator[_Crops], total: int) -> tuple[Any, Any]:
        rows = self._rows(unit)
        count, width = self.recipe.count, self.backbone.width
        centre = np.zeros((len(rows), width), np.float32)
        views = np.zeros((len(unit.view_rows) * count, width), np.float32)
        streams = [_Batches(self.backbone, out, self.batch_size) for out in (centre, views)]
        place = {row: i for i, row in enumerate(unit.view_rows)}
        reasons = []
        for i, row in enumerate(rows):
            crop = next(crops)
            reasons.append(crop.reason)
            self.report.seconds["read"] += crop.read
            self.report.seconds["decode"] += crop.decode
            if crop.centre is not None:
                streams[0].add(i, crop.centre)
            for v, pixels in enumerate(crop.views):
                streams[1].add(place[row] * count + v, pixels)
            self.progress(self.report.crops + sum(s.done for s in streams), total)
        for stream in streams:
            stream.flush()
            self.report.seconds["forward"] += stream.seconds
        # Bad pictures count as done, or the bar would never reach its end.
        self.report.crops += unit.centre * len(rows) + len(views)
        self.progress(self.report.crops, total)
        return self._image_arrays(unit, centre, reasons), self._view_arrays(unit, views, reasons)

    def _image_arrays(
        self, unit: Unit, embedding: NDArray[np.float32], reasons: list[str]
    ) -> dict[str, NDArray[Any]] | None:
        if not unit.centre:
            return None
        items = self.dataset.splits[unit.split][unit.start : unit.stop]
        half = _half(embedding)
        finite = np.asarray(np.isfinite(half).all(axis=1))
        half[~finite] = 0
        reasons = [
            reason or ("" if ok else "its embedding is not finite")
            for reason, ok in zip(reasons, finite, strict=True)
        ]
        return {
            "embedding": half,
            "id": shards.strings([item.id for item in items]),
            "label": np.array([item.label for item in items], np.int64),
            "reason": shards.strings(reasons),
            "valid": np.array([not reason for reason in reasons]),
        }

    def _view_arrays(
        self, unit: Unit, embedding: NDArray[np.float32], reasons: list[str]
    ) -> dict[str, NDArray[Any]] | None:
        if not unit.view_rows:
            return None
        rows = self._rows(unit)
        bad = {row for row, reason in zip(rows, reasons, strict=True) if reason}
        kept = np.array([row not in bad for row in unit.view_rows])
        half = _half(embedding).reshape(len(unit.view_rows), -1, self.backbone.width)
        return {
            "embedding": half[kept],  # [n, v, d]; the centre crop stands in the image shard
            "row": np.array(unit.view_rows, np.int64)[kept],
        }


def _half(embedding: NDArray[np.float32]) -> NDArray[np.float16]:
    with np.errstate(over="ignore"):
        return embedding.astype(np.float16)


@contextmanager
def _pool(workers: int) -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(workers)
    try:
        yield pool
    finally:
        # After Ctrl-C nobody wants to wait for pictures that were to be decoded ahead.
        pool.shutdown(wait=True, cancel_futures=True)


def _ahead(
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


def _announce(entry: Entry, asked: Sequence[str], views: ViewSet, retry_bad: bool) -> Entry:
    """The entry with what is asked of it in its manifest, before any of it is there."""
    with amend(entry) as manifest:
        manifest["asked"] = [s for s in SPLITS if s in {*manifest["asked"], *asked}]
        if views.name:
            manifest["view_sets"].setdefault("train", {}).setdefault(views.name, views.header)
        if retry_bad:
            manifest["shards"] = without_bad(manifest["shards"])
    return reload(entry)


def _write_unit(entry: Entry, unit: Unit, images: Any, views: Any, view_set: str) -> None:
    number = unit.start // entry.manifest["shard_rows"]
    place = {"split": unit.split, "start": unit.start, "stop": unit.stop}
    records: dict[str, dict[str, Any]] = {}
    if images is not None:
        name = image_name(unit.split, number)
        bad = int((~images["valid"]).sum())
        records[name] = {"kind": "images", **place, "bad": bad}
        records[name] |= asdict(shards.write(entry.folder / name, images))
    if views is not None:
        name = view_name(view_set, number)
        records[name] = {"kind": "views", **place, "set": view_set}
        records[name] |= asdict(shards.write(entry.folder / name, views))
    with amend(entry) as manifest:
        manifest["shards"] |= records


def _encode_text(entry: Entry, backbone: Backbone, bank: PromptBank) -> int:
    if entry.manifest["texts"].get(bank.name) == text_name(bank.name, bank.prompts):
        return 0
    prompts = [prompt for mine in bank.prompts for prompt in mine]
    embedding = encode_prompts(backbone, prompts)
    if not np.isfinite(embedding).all():
        raise FeatcacheError(f"{backbone.name} gave text embeddings that are not finite.")
    put_text(entry, bank.name, embedding, bank.prompts)
    return len(prompts)
