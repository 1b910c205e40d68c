"""The pipeline: read, decode, batch, forward, write; every picture once, and resumable.

The work is cut into units of some 2,000 rows of a split (`featcache.encoding.plan`). A unit becomes
one image shard and, where few-shot draws can use its rows, one view shard, and as many more for
each extra feature. It is listed in the manifest when all are on disk (with others where listing
takes long), so a killed run loses what was not listed and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from featcache.backbones import compiling, text_tower
from featcache.backbones.backbone import Backbone
from featcache.datasets.dataset import Dataset
from featcache.encoding.batches import UnitEncoder, feature_shapes
from featcache.encoding.decoding.crops import NOTHING, Maker
from featcache.encoding.finishing import finish, look_ahead
from featcache.encoding.identity import find_entry
from featcache.encoding.plan import (
    NO_VIEWS,
    Unit,
    announce,
    check_space,
    choose_views,
    units_of,
    without_bad,
)
from featcache.encoding.report import Progress, Report
from featcache.encoding.running import Decoding, Job, run
from featcache.encoding.sizes import size_of
from featcache.encoding.staging import Staging
from featcache.encoding.taking import known
from featcache.encoding.text import encode_text
from featcache.encoding.tower import keep
from featcache.encoding.writing import UnitWriter, write_projection
from featcache.errors import CacheError, ConfigError
from featcache.pictures.card import on_card
from featcache.pictures.views import ViewRecipe
from featcache.prompts import PromptBank
from featcache.prompts import bank as own_bank
from featcache.store.cache import FeatureCache
from featcache.store.entry import PRE_PROJECTION, reload
from featcache.store.towers import TEXT_TOWER
from featcache.store.writing import Listing

DECODING, CARD = Decoding(), "card"
Result = TypeVar("Result")


@dataclass(frozen=True)
class Request:
    """What an entry is to hold, and how it is to be made: the options of `encode_dataset`.

    `last` is whether nobody comes after this run who finishes the entry off.
    """

    splits: Sequence[str] | None = None
    bank: PromptBank | None = None
    views: ViewRecipe | None = None
    views_for: str = "few-shot"
    extras: Sequence[str] = ()
    batch_size: int | None = None
    compiled: bool | None = None
    part: tuple[int, int] = (1, 1)
    retry_bad: bool = False
    check: bool = False
    last: bool = True


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
    batch_size: int | None = None,
    compiled: bool | None = None,
    workers: int = 0,
    decode_in: str = "auto",
    part: tuple[int, int] = (1, 1),
    retry_bad: bool = False,
    check: bool = False,
    progress: Progress = lambda done, total: None,
) -> Report:
    """Bring the cache to hold the data set's splits, views and prompts, and say what was done.

    `views_for` is `few-shot` (the union of CoOp's draws for 1 to 16 shots, seeds 1 to 3) or
    `all`. `extras` names what is kept beside embeddings: `pre-projection` (of views too),
    `patches` and, once a backbone, `text-tower`. `batch_size` None is what the entry was begun with
    on such a device, or fits device and model; `compiled` None compiles convolutional towers on
    CUDA where there is much to do. Pictures are decoded by `workers` (0: one a core) threads or
    processes, as `decode_in` says, or auto. `part = (i, n)` does the i-th of n parts of the work,
    i from 1. What is there already is not encoded again, as far as its bytes are the same: size and
    times of files say so, or with `check` their bytes. Shards that are missing or damaged are
    written anew. Raises
    `CacheError` where the disk refuses or is too full, `UnknownNameError` or `BackboneError` where
    the model has no such extras.
    """
    request = Request(
        splits, bank, views, views_for, extras, batch_size, compiled, part, retry_bad, check
    )
    decoding = Decoding(workers, decode_in)
    (found,) = encode_together(dataset, [backbone], cache, request, decoding, progress)
    if isinstance(found, Exception):
        raise found
    return found


def encode_together(
    dataset: Dataset,
    backbones: Sequence[Backbone],
    cache: FeatureCache,
    request: Request,
    decoding: Decoding = DECODING,
    progress: Progress = lambda done, total: None,
) -> list[Report | Exception]:
    """The same with several backbones, an entry each, of pictures that are decoded once.

    Each entry is what it would be alone. What stopped a backbone stands in place of its report;
    it stops no other.
    """
    if decoding.where == CARD:
        backbones = [_on_card(each) for each in backbones]
    begun = [_tried(partial(_prepared, dataset, each, cache, request)) for each in backbones]
    jobs = [each.job for each in begun if isinstance(each, _Prepared) and each.job.units]
    if jobs:
        run(jobs, dataset, decoding, progress)
    else:
        progress(0, 0)
    return [
        each if isinstance(each, Exception) else _tried(partial(_finished, each, dataset))
        for each in begun
    ]


@dataclass(frozen=True)
class _Prepared:
    """Of one backbone: the job, all units of which it does some, and when it was begun."""

    job: Job
    units: Sequence[Unit]
    began: float
    last: bool


def _prepared(
    dataset: Dataset, backbone: Backbone, cache: FeatureCache, request: Request
) -> _Prepared:
    """Find the entry, say in it what is to come, encode its prompts."""
    began = time.perf_counter()
    asked, part, extras = asked_of(dataset, request.splits), request.part, request.extras
    if not 1 <= part[0] <= part[1]:
        raise CacheError(f"part {part[0]}/{part[1]} does not exist; give 1/N to N/N.")
    tower = text_tower.asked(backbone, extras)  # refused before anything is encoded
    extras = [name for name in extras if name != TEXT_TOWER]
    shapes = feature_shapes(backbone, extras)
    found = find_entry(dataset, backbone, cache, request.check)
    entry, wanted = found.entry, NO_VIEWS
    if request.views and "train" in asked:
        wanted = choose_views(entry, request.views, request.views_for)
    entry = announce(entry, asked, wanted, extras)
    every = units_of(entry, dataset, asked, wanted, extras)
    if request.retry_bad:
        entry = without_bad(entry, every[part[0] - 1 :: part[1]])
        every = units_of(entry, dataset, asked, wanted, extras)
    units = every[part[0] - 1 :: part[1]]
    todo = [unit for unit in units if unit.centre or unit.view_rows]
    count = wanted.recipe.count
    check_space(entry, todo, count, shapes)

    report = Report(entry, damaged=list(found.damaged), notes=list(found.notes))
    if part[0] == 1:
        report.prompts = encode_text(entry, backbone, request.bank or own_bank(None, dataset))
        report.notes += [keep(reload(entry), backbone)] if tower else []
    if PRE_PROJECTION in extras:
        write_projection(entry, backbone)
    taken = known(entry, found.digests, cache, extras, wanted) if todo else NOTHING
    size = size_of(entry, backbone, request.batch_size, bool(todo))
    report.batch_size = size if todo else 0
    staging = Staging(backbone, size, _compiles(backbone, request, every, count))
    bad = frozenset(picture for picture, _ in entry.bad_pictures())
    writer = UnitWriter(Listing(entry), dataset, backbone.name, wanted.name, bad, taken.digests)
    maker = Maker(wanted.recipe, backbone.preprocess, taken)
    encoder = UnitEncoder(staging, shapes, count)
    job = Job(report, todo, encoder, writer, maker, taken.digests)
    return _Prepared(job, units, began, request.last)


def _on_card(backbone: Backbone) -> Backbone:
    if backbone.device.type != "cuda":
        raise ConfigError(
            f"pictures are decoded on a card by CUDA alone, and {backbone.name} is on "
            f"{backbone.device}; decode in threads."
        )
    return replace(backbone, preprocess=on_card(backbone.preprocess))


def _compiles(backbone: Backbone, request: Request, units: Sequence[Unit], views: int) -> bool:
    """Whether the tower is compiled: by all that is asked, so that a run that goes on does too."""
    if request.compiled is not None:
        return request.compiled
    crops = sum(unit.stop - unit.start for unit in units) * (1 + views)
    worth = backbone.device.type == "cuda" and crops >= compiling.FROM
    return worth and compiling.gains(backbone.model)


def _finished(prepared: _Prepared, dataset: Dataset) -> Report:
    """The account of a job that is done; raises what stopped it."""
    job, units = prepared.job, prepared.units
    if job.failed is not None:
        raise job.failed
    report = job.report
    if prepared.last:
        report.notes += finish(reload(report.entry), dataset)
    report.entry = reload(report.entry)
    look_ahead(report.entry)
    report.encoded = sum(u.stop - u.start for u in job.units if u.centre) - report.taken
    report.skipped = sum(u.stop - u.start for u in units) - report.encoded - report.taken
    report.bad = report.entry.bad_pictures()
    report.wall = time.perf_counter() - prepared.began
    return report


def _tried(make: Callable[[], Result]) -> Result | Exception:
    try:
        return make()
    except Exception as error:
        return error


def asked_of(dataset: Dataset, splits: Sequence[str] | None) -> list[str]:
    """Those of these splits (None: of all) in order. Raises `CacheError` for one that is none."""
    if unknown := sorted(set(splits or ()) - set(dataset.splits)):
        have = ", ".join(dataset.splits)
        raise CacheError(f"{dataset.name} has no split {unknown[0]!r}; it has {have}.")
    return [split for split in dataset.splits if split in (splits or dataset.splits)]
