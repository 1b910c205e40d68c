"""The pipeline: read, decode, batch, forward, write; every picture once, and resumable.

The work is cut into units of some 2,000 rows of a split (`featcache.encoding.plan`). A unit becomes
one image shard and, where few-shot draws can use its rows, one view shard, and as many more for
each extra feature. It is listed in the manifest when all are on disk, so a killed run loses the
unit at hand and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from featcache.backbones import text_tower
from featcache.backbones.backbone import Backbone
from featcache.datasets.dataset import Dataset
from featcache.encoding.batches import UnitEncoder, feature_shapes
from featcache.encoding.crops import NOTHING, crops_ahead, wanted_of
from featcache.encoding.finishing import finish
from featcache.encoding.identity import find_entry
from featcache.encoding.plan import (
    NO_VIEWS,
    Unit,
    ViewSet,
    announce,
    check_space,
    choose_views,
    units_of,
)
from featcache.encoding.report import Progress, Report
from featcache.encoding.taking import Known, known
from featcache.encoding.text import encode_text
from featcache.encoding.tower import keep
from featcache.encoding.writing import UnitWriter, write_projection
from featcache.errors import CacheError
from featcache.pictures.views import ViewRecipe
from featcache.prompts import PromptBank
from featcache.prompts import bank as own_bank
from featcache.store.cache import FeatureCache
from featcache.store.entry import PRE_PROJECTION, reload
from featcache.store.towers import TEXT_TOWER


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
    check: bool = False,
    progress: Progress = lambda done, total: None,
) -> Report:
    """Bring the cache to hold the data set's splits, views and prompts, and say what was done.

    `views_for` is `few-shot` (the union of CoOp's draws for 1 to 16 shots, seeds 1 to 3) or
    `all`. `extras` names what is kept beside embeddings: `pre-projection` (of views too),
    `patches` and, once a backbone, `text-tower`. `part = (i, n)` does the i-th of n parts of the
    work, i from 1. What is there already is not encoded again, as far as its bytes are the same:
    size and times of files say so, or with `check` their bytes. Shards that are missing or damaged
    are written anew. Raises
    `CacheError` where the disk refuses or is too full, `UnknownNameError` or `BackboneError` where
    the model has no such extras.
    """
    began = time.perf_counter()
    asked = _asked(dataset, splits)
    if not 1 <= part[0] <= part[1]:
        raise CacheError(f"part {part[0]}/{part[1]} does not exist; give 1/N to N/N.")
    tower = text_tower.asked(backbone, extras)  # refused before anything is encoded
    extras = [name for name in extras if name != TEXT_TOWER]
    shapes = feature_shapes(backbone, extras)
    found = find_entry(dataset, backbone, cache, check)
    entry = found.entry
    wanted = choose_views(entry, views, views_for) if views and "train" in asked else NO_VIEWS
    entry = announce(entry, asked, wanted, extras, retry_bad)
    units = units_of(entry, dataset, asked, wanted, extras)[part[0] - 1 :: part[1]]
    todo = [unit for unit in units if unit.centre or unit.view_rows]
    count = wanted.recipe.count
    check_space(entry, todo, count, shapes)

    report = Report(entry, damaged=list(found.damaged), notes=list(found.notes))
    if part[0] == 1:
        report.prompts = encode_text(entry, backbone, bank or own_bank(None, dataset))
        report.notes += [keep(reload(entry), backbone)] if tower else []
    if PRE_PROJECTION in extras:
        write_projection(entry, backbone)
    encoder = UnitEncoder(backbone, shapes, count, batch_size)
    taken = known(entry, found.digests, cache, extras, wanted) if todo else NOTHING
    _encode_units(report, todo, dataset, encoder, wanted, taken, workers, progress)
    report.notes += finish(reload(entry), dataset)
    report.entry = reload(entry)
    report.encoded = sum(u.stop - u.start for u in todo if u.centre) - report.taken
    report.skipped = sum(u.stop - u.start for u in units) - report.encoded - report.taken
    report.bad = report.entry.bad_pictures()
    report.wall = time.perf_counter() - began
    return report


def _asked(dataset: Dataset, splits: Sequence[str] | None) -> list[str]:
    if unknown := sorted(set(splits or ()) - set(dataset.splits)):
        have = ", ".join(dataset.splits)
        raise CacheError(f"{dataset.name} has no split {unknown[0]!r}; it has {have}.")
    return [split for split in dataset.splits if split in (splits or dataset.splits)]


def _encode_units(
    report: Report,
    units: Sequence[Unit],
    dataset: Dataset,
    encoder: UnitEncoder,
    views: ViewSet,
    taken: Known,
    workers: int,
    progress: Progress,
) -> None:
    """Workers decode ahead, this thread runs the model and writes."""
    entry, backbone = report.entry, encoder.backbone
    known_bad = frozenset(picture for picture, _ in entry.bad_pictures())
    writer = UnitWriter(entry, dataset, backbone.name, views.name, known_bad, taken.digests)
    total = sum(unit.crops(encoder.views) for unit in units)
    done = 0
    progress(done, total)
    pictures = wanted_of(units, dataset, taken.digests)
    with crops_ahead(pictures, views.recipe, backbone.preprocess, workers, taken) as crops:
        for unit in units:
            ahead = partial(_further, progress, done, total)
            features = encoder.features(unit, crops, report, ahead)
            # Bad pictures and those taken over count too, or the bar would never reach its end.
            done += unit.crops(encoder.views)
            progress(done, total)
            began = time.perf_counter()
            writer.write(unit, features)
            report.seconds["write"] += time.perf_counter() - began


def _further(progress: Progress, before: int, total: int, crops: int) -> None:
    progress(before + crops, total)
