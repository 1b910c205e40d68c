"""The pipeline: read, decode, batch, forward, write; every picture once, and resumable.

The work is cut into units of some 2,000 rows of a split (`featcache.plan`). A unit becomes one
image shard and, where few-shot draws can use its rows, one view shard, and as many more for each
extra feature (`featcache.tower`). It is listed in the manifest when all are on disk, so a killed
run loses the unit at hand and nothing else. Batches never cross a unit and the last one is padded:
a unit's numbers do not depend on what was encoded before it.
"""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from featcache import shards, tower
from featcache.backbones import Backbone, encode_prompts, picture_features
from featcache.cache import (
    EMBEDDING,
    EXTRAS,
    PATCHES,
    PRE_PROJECTION,
    PROJECTION_SHARD,
    Entry,
    FeatureCache,
    Projection,
    amend,
    put_projection,
    put_text,
    reload,
    text_name,
)
from featcache.datasets.dataset import SPLITS, Dataset, Item, Picture
from featcache.errors import BackboneError, CacheError, FeatcacheError, PictureError
from featcache.images import crop_resize, decode, fit_square
from featcache.plan import (
    NO_VIEWS,
    Unit,
    ViewSet,
    check_space,
    choose_views,
    find_entry,
    shard_name,
    units_of,
    without_bad,
)
from featcache.prompts import PromptBank
from featcache.prompts import bank as own_bank
from featcache.views import ViewRecipe, view

Progress = Callable[[int, int], None]
Arrays = dict[str, NDArray[Any]]
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
    extras: Sequence[str] = (),
    batch_size: int = 256,
    workers: int = 0,
    part: tuple[int, int] = (1, 1),
    retry_bad: bool = False,
    progress: Progress = lambda done, total: None,
) -> Report:
    """Bring the cache to hold the data set's splits, views and prompts, and say what was done.

    `views_for` is `few-shot` (the union of CoOp's draws for 1 to 16 shots, seeds 1 to 3) or
    `all`. `extras` names what is kept beside embeddings: `pre-projection` (of views too) and
    `patches`. `part = (i, n)` does the i-th of n parts of the work, i from 1. What is there already
    is not read again. Raises `CacheError` where the disk refuses or is too full, `UnknownNameError`
    or `BackboneError` where the model has no such extras.
    """
    began = time.perf_counter()
    asked = [s for s in SPLITS if s in (splits or dataset.splits)]
    if unknown := sorted(set(splits or ()) - set(dataset.splits)):
        have = ", ".join(dataset.splits)
        raise CacheError(f"{dataset.name} has no split {unknown[0]!r}; it has {have}.")
    if not 1 <= part[0] <= part[1]:
        raise CacheError(f"part {part[0]}/{part[1]} does not exist; give 1/N to N/N.")
    shapes = _shapes(backbone, extras)
    entry = find_entry(dataset, backbone, cache)
    wanted = choose_views(entry, views, views_for) if views and "train" in asked else NO_VIEWS
    entry = _announce(entry, asked, wanted, extras, retry_bad)
    units = units_of(entry, dataset, asked, wanted, extras)[part[0] - 1 :: part[1]]
    todo = [unit for unit in units if unit.centre or unit.view_rows]
    count = wanted.recipe.count
    total = sum(unit.crops(count) for unit in todo)
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    check_space(entry, total, sum(unit.numbers(count, sizes) for unit in todo))

    report = Report(entry)
    if part[0] == 1:
        report.prompts = _encode_text(entry, backbone, bank or own_bank(None, dataset))
    if PRE_PROJECTION in extras and PROJECTION_SHARD not in entry.manifest["shards"]:
        weight, bias = (p.float().cpu().numpy() for p in tower.projection(backbone.model))
        put_projection(entry, Projection(np.ascontiguousarray(weight), bias))
    known_bad = frozenset(picture for picture, _ in entry.bad_pictures())
    pictures = _Pictures(
        dataset, backbone, wanted.recipe, shapes, known_bad, batch_size, workers, report, progress
    )
    for unit, centre, of_views in pictures.run(todo, total):
        began_write = time.perf_counter()
        _write_unit(entry, unit, centre, of_views, wanted.name)
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
    return embed_with(backbone, sources, (), batch_size)[EMBEDDING]


def embed_with(
    backbone: Backbone,
    sources: Sequence[Path | Picture],
    extras: Sequence[str],
    batch_size: int = 64,
) -> dict[str, NDArray[np.float32]]:
    """Such embeddings under the name `embedding`, and extras under theirs.

    `pre-projection` is `[n, p]`, `patches` `[n, t, d]`. Raises what `embed` raises, and
    `UnknownNameError` or `BackboneError` where the model has no such extras.
    """
    shapes = _shapes(backbone, extras)
    out = {name: np.zeros((len(sources), *shape), np.float32) for name, shape in shapes.items()}
    batches = _Batches(backbone, out, min(batch_size, max(1, len(sources))))
    for row, source in enumerate(sources):
        batches.add(row, fit_square(decode(source), backbone.preprocess))
    batches.flush()
    return out


def _shapes(backbone: Backbone, extras: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """The shape of each feature of one picture, by asking the model for an empty one."""
    if not extras:
        return {EMBEDDING: (backbone.width,)}
    side = backbone.preprocess.size
    found = picture_features(backbone, np.zeros((1, side, side, 3), np.uint8), extras)
    return {name: array.shape[1:] for name, array in found.items()}


class _Batches:
    """Collects crops into batches of one fixed shape and puts features where they belong."""

    def __init__(self, backbone: Backbone, out: Mapping[str, NDArray[Any]], size: int) -> None:
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
        extras = [name for name in self.out if name != EMBEDDING]
        found = picture_features(self.backbone, self.buffer, extras)
        with np.errstate(over="ignore"):
            for name, array in self.out.items():
                array[self.rows] = found[name][: len(self.rows)]
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
    shapes: Mapping[str, tuple[int, ...]]
    known_bad: frozenset[str]
    batch_size: int
    workers: int
    report: Report
    progress: Progress

    def run(
        self, units: list[Unit], total: int
    ) -> Iterator[tuple[Unit, dict[str, Arrays], dict[str, Arrays]]]:
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
                yield self.dataset.splits[unit.split][row], bool(unit.centre), row in wanted

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

    def _unit(
        self, unit: Unit, crops: Iterator[_Crops], total: int
    ) -> tuple[dict[str, Arrays], dict[str, Arrays]]:
        """The content of each shard that the unit lacks, by feature: of centre crops, of views."""
        rows = self._rows(unit)
        count = self.recipe.count
        centre = self._room(unit.centre, len(rows))
        views = self._room(unit.views, len(unit.view_rows) * count)
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
        self.report.crops += unit.crops(count)
        self.progress(self.report.crops, total)
        items = [self.dataset.splits[unit.split][row] for row in rows]
        if unit.follows:
            self._check_still_readable(items, reasons)
        return self._centre_arrays(items, centre, reasons), self._view_arrays(
            unit, views, {row for row, reason in zip(rows, reasons, strict=True) if reason}
        )

    def _room(self, features: Sequence[str], rows: int) -> Arrays:
        """Zeros for those features; patches are half-floats from the start, for they are many."""
        dtypes = {PATCHES: np.float16}
        return {n: np.zeros((rows, *self.shapes[n]), dtypes.get(n, np.float32)) for n in features}

    def _check_still_readable(self, items: Sequence[Item], reasons: Sequence[str]) -> None:
        for item, reason in zip(items, reasons, strict=True):
            if reason and item.id not in self.known_bad:
                raise CacheError(
                    f"the picture {item.id} of {self.dataset.name} could be read when it was "
                    f"embedded and cannot now ({reason}); mend it and run again."
                )

    def _centre_arrays(
        self, items: Sequence[Item], found: Arrays, reasons: list[str]
    ) -> dict[str, Arrays]:
        valid = np.array(
            [not r and i.id not in self.known_bad for i, r in zip(items, reasons, strict=True)]
        )
        shards_of: dict[str, Arrays] = {}
        if EMBEDDING in found:
            half = _half(found[EMBEDDING])
            finite = np.asarray(np.isfinite(half).all(axis=1))
            half[~finite] = 0
            valid &= finite
            reasons = [
                reason or ("" if ok else "its embedding is not finite")
                for reason, ok in zip(reasons, finite, strict=True)
            ]
            shards_of[EMBEDDING] = {
                "embedding": half,
                "id": shards.strings([item.id for item in items]),
                "label": np.array([item.label for item in items], np.int64),
                "reason": shards.strings(reasons),
                "valid": valid,
            }
        for name in found:
            if name != EMBEDDING:
                found[name][~valid] = 0
                shards_of[name] = {name: self._finite(name, found[name])}
        return shards_of

    def _view_arrays(self, unit: Unit, found: Arrays, bad: set[int]) -> dict[str, Arrays]:
        kept = np.array([row not in bad for row in unit.view_rows])
        shards_of = {}
        for name, array in found.items():
            stack = array.reshape(len(unit.view_rows), -1, *array.shape[1:])[kept]  # [n, v, d]
            half = _half(stack) if name == EMBEDDING else self._finite(name, stack)
            # The centre crop, view 0, stands in the image shard.
            shards_of[name] = {name: half, "row": np.array(unit.view_rows, np.int64)[kept]}
        return shards_of

    def _finite(self, name: str, array: NDArray[Any]) -> NDArray[np.float16]:
        half = _half(array)
        if not np.isfinite(half).all():
            raise BackboneError(
                f"{self.backbone.name} gave {name} features of {self.dataset.name} that half "
                f"precision cannot hold; encode without --extra {name}."
            )
        return half


def _half(array: NDArray[Any]) -> NDArray[np.float16]:
    with np.errstate(over="ignore"):
        return array.astype(np.float16, copy=False)


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


def _announce(
    entry: Entry, asked: Sequence[str], views: ViewSet, extras: Sequence[str], retry_bad: bool
) -> Entry:
    """The entry with what is asked of it in its manifest, before any of it is there."""
    with amend(entry) as manifest:
        manifest["asked"] = [s for s in SPLITS if s in {*manifest["asked"], *asked}]
        if views.name:
            manifest["view_sets"].setdefault("train", {}).setdefault(views.name, views.header)
        if extras:
            held = manifest.get("extras", {})
            wanted = {
                name: {*held.get(name, ()), *(asked if name in extras else ())} for name in EXTRAS
            }
            manifest["extras"] = {n: [s for s in SPLITS if s in w] for n, w in wanted.items() if w}
        if retry_bad:
            manifest["shards"] = without_bad(manifest["shards"])
    return reload(entry)


def _write_unit(
    entry: Entry,
    unit: Unit,
    centre: Mapping[str, Arrays],
    of_views: Mapping[str, Arrays],
    view_set: str,
) -> None:
    number = unit.start // entry.manifest["shard_rows"]
    place = {"split": unit.split, "start": unit.start, "stop": unit.stop}
    records: dict[str, dict[str, Any]] = {}
    for feature, arrays in centre.items():
        name = shard_name(feature, unit.split, number)
        records[name] = {"kind": "images" if feature == EMBEDDING else feature, **place}
        if feature == EMBEDDING:
            records[name]["bad"] = int((~arrays["valid"]).sum())
        records[name] |= asdict(shards.write(entry.folder / name, arrays))
    for feature, arrays in of_views.items():
        name = shard_name(feature, unit.split, number, view_set)
        records[name] = {"kind": "views" if feature == EMBEDDING else feature, **place}
        records[name] |= {"set": view_set, **asdict(shards.write(entry.folder / name, arrays))}
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
