"""What there is to encode: an entry's view sets, and the units that are still to be written."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featcache.datasets.dataset import Dataset
from featcache.draws import drawable
from featcache.errors import CacheError
from featcache.pictures.views import ViewRecipe
from featcache.store.entry import EMBEDDING, EXTRAS, PRE_PROJECTION, Entry, reload
from featcache.store.writing import amend

SHARD_ROWS = 2048
BATCH = "batch"  # in the manifest: pictures that go through the model at once, by kind of device
OF_VIEWS = (EMBEDDING, PRE_PROJECTION)  # patches are kept of centre crops alone


@dataclass(frozen=True)
class Unit:
    """Rows `start..stop` of a split, and which of its shards are still to be written.

    `centre` names the features still wanted of the centre crops, `views` those of the views of
    `view_rows`; each becomes a shard. `generation` counts how often the entry had been brought up
    to date when the unit was begun: no shard of an older state has its name.
    """

    split: str
    start: int
    stop: int
    centre: tuple[str, ...]
    views: tuple[str, ...]
    view_rows: tuple[int, ...]
    generation: int = 0

    @property
    def rows(self) -> Sequence[int]:
        """The rows whose pictures have to be read."""
        return range(self.start, self.stop) if self.centre else self.view_rows

    @property
    def place(self) -> dict[str, Any]:
        """What the manifest lists of where its shards belong."""
        place = {"split": self.split, "start": self.start, "stop": self.stop}
        return {**place, **({"generation": self.generation} if self.generation else {})}

    @property
    def follows(self) -> bool:
        """Whether it adds features to crops whose embeddings stand in shards already."""
        return any(wanted and EMBEDDING not in wanted for wanted in (self.centre, self.views))

    def crops(self, views: int) -> int:
        """How many crops it takes at that many views a picture."""
        return bool(self.centre) * (self.stop - self.start) + len(self.view_rows) * views

    def numbers(self, views: int, sizes: Mapping[str, int]) -> int:
        """How many numbers it writes, at that many views and those sizes of the features."""
        centre = (self.stop - self.start) * sum(sizes[name] for name in self.centre)
        return centre + len(self.view_rows) * views * sum(sizes[name] for name in self.views)


@dataclass(frozen=True)
class ViewSet:
    """Views of the train split that belong together: a recipe, and of which rows.

    `rows` is `all` or `few-shot`: those that CoOp's draws for 1 to 16 shots and seeds 1 to 3 use.
    """

    name: str
    recipe: ViewRecipe
    rows: str

    @property
    def header(self) -> dict[str, Any]:
        """What the manifest lists, as JSON gives it back."""
        return dict(json.loads(json.dumps({**asdict(self.recipe), "rows": self.rows})))


NO_VIEWS = ViewSet("", ViewRecipe(0), "few-shot")


def choose_views(entry: Entry, recipe: ViewRecipe, rows: str) -> ViewSet:
    """The view set to fill: a listed one that covers the request, as it was begun, or a new one."""
    if not recipe.count:
        return NO_VIEWS
    wanted = ViewSet("", recipe, rows).header
    for name, held in entry.manifest["view_sets"].get("train", {}).items():
        rest = all(held[k] == wanted[k] for k in wanted if k not in ("count", "rows"))
        covers = held["rows"] in ("all", rows) and held["count"] >= recipe.count
        if rest and covers:
            return ViewSet(name, replace(recipe, count=held["count"]), held["rows"])
    digest = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()
    return ViewSet(digest[:8], recipe, rows)


def announce(entry: Entry, asked: Sequence[str], views: ViewSet, extras: Sequence[str]) -> Entry:
    """The entry with what is asked of it in its manifest, before any of it is there."""
    with amend(entry) as manifest:
        asked_ever = {*manifest["asked"], *asked}
        manifest["asked"] = [s for s in manifest["dataset"]["splits"] if s in asked_ever]
        if views.name:
            manifest["view_sets"].setdefault("train", {}).setdefault(views.name, views.header)
        if extras:
            held = manifest.get("extras", {})
            wanted = {
                name: {*held.get(name, ()), *(asked if name in extras else ())} for name in EXTRAS
            }
            order = manifest["dataset"]["splits"]
            manifest["extras"] = {n: [s for s in order if s in w] for n, w in wanted.items() if w}
    return reload(entry)


def without_bad(entry: Entry, units: Sequence[Unit]) -> Entry:
    """The entry without the shards of those units that have bad pictures, to be written again."""
    with amend(entry) as manifest:
        listed = manifest["shards"]
        bad = {(r["split"], r["start"]) for r in listed.values() if r.get("bad")}
        bad &= {(unit.split, unit.start) for unit in units}
        manifest["shards"] = {
            n: r for n, r in listed.items() if (r.get("split"), r.get("start")) not in bad
        }
    return reload(entry)


def units_of(
    entry: Entry,
    dataset: Dataset,
    splits: Sequence[str],
    views: ViewSet,
    extras: Sequence[str] = (),
) -> list[Unit]:
    """All units of these splits in order, each saying what of it is still to be written."""
    size = entry.manifest["shard_rows"]
    listed = {_place(record): record for record in entry.manifest["shards"].values()}
    selected = rows_with_views(dataset, views.rows) if views.name else np.zeros(0, np.int64)
    wanted = (EMBEDDING, *extras)
    units = []
    for split in splits:
        rows = len(dataset.splits[split])
        for start in range(0, rows, size):
            stop = min(start + size, rows)
            near = selected[(selected >= start) & (selected < stop)]
            centre = [n for n in wanted if (kind_of(n), split, start, None) not in listed]
            of_views = [
                n
                for n in wanted
                if n in OF_VIEWS
                and split == "train"
                and len(near)
                and (kind_of(n, views.name), split, start, views.name) not in listed
            ]
            mine = near.tolist() if of_views else []
            held = listed.get((kind_of(EMBEDDING), split, start, None), entry.manifest)
            age = held.get("generation", 0)
            units.append(Unit(split, start, stop, tuple(centre), tuple(of_views), tuple(mine), age))
    return units


def _place(record: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(record.get(key) for key in ("kind", "split", "start", "set"))


def kind_of(feature: str, view_set: str = "") -> str:
    """What the manifest calls shards of a feature of centre crops, or with a view set of views."""
    if feature != EMBEDDING:
        return feature
    return "views" if view_set else "images"


def shard_name(
    feature: str, split: str, number: int, view_set: str = "", generation: int = 0
) -> str:
    """File name of a shard: of centre crops, or with a view set of its views."""
    kind = kind_of(feature, view_set)
    if feature != EMBEDDING and view_set:
        kind = f"{feature}-views"
    age = str(generation or "")
    return "-".join(part for part in (kind, split, view_set, f"{number:05d}", age) if part) + ".h5"


def check_space(
    entry: Entry, units: Sequence[Unit], views: int, shapes: Mapping[str, tuple[int, ...]]
) -> None:
    """Raise `CacheError` where the disk has no room for the half-floats of these units.

    `views` is how many a picture has, `shapes` that of each feature of one crop.
    """
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    crops = sum(unit.crops(views) for unit in units)
    numbers = sum(unit.numbers(views, sizes) for unit in units)
    needed = int((2 * numbers + 64 * crops) * 1.1)
    free = shutil.disk_usage(entry.folder).free
    if needed > free:
        raise CacheError(
            f"{entry.folder} needs {needed / 1e6:.0f} MB and its disk has {free / 1e6:.0f} MB "
            "free; make room, or take another cache with --cache."
        )


def rows_with_views(dataset: Dataset, which: str) -> NDArray[np.int64]:
    """Rows of the train split that have views: `all`, or those that `few-shot` draws can use."""
    labels = [item.label for item in dataset.splits.get("train", ())]
    return np.asarray(range(len(labels)) if which == "all" else drawable(labels), np.int64)
