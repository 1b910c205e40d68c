"""Rows of an entry encoded anew, and how far they are from those that were kept.

What is kept is half precision: by itself that moves an embedding by up to 2^-11 of its length.
A batch of another size, another device or library moves it by what the precision of the model
leaves open; `TOLERANCE` has room for both (docs/encoding.md has what was measured).
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from math import nan

import numpy as np
from numpy.typing import NDArray

from featcache.backbones.backbone import Backbone
from featcache.backbones.forward import encode_pictures
from featcache.datasets.dataset import Dataset, Item
from featcache.encoding.decoding.crops import Crops, Wanted, crops_of
from featcache.errors import CacheError
from featcache.pictures.decode import Pixels
from featcache.pictures.views import ViewRecipe
from featcache.store import manifest, shard
from featcache.store.difference import cosine
from featcache.store.entry import EMBEDDING, Entry
from featcache.store.originals import KIND, read
from featcache.store.rows import path_of

TOLERANCE = {"fp32": 2e-3, "fp16": 1e-2, "bf16": 5e-2}  # of an embedding's length
TOGETHER = 64  # pictures a batch


@dataclass(frozen=True)
class Row:
    """A row encoded anew: its cosine with what was kept, and how far it is, by the kept length.

    `reason` says why there is nothing to compare, or what is known of the picture beside.
    """

    split: str
    id: str
    cosine: float
    difference: float
    reason: str


@dataclass(frozen=True)
class Reencoded:
    """All rows that were taken, and the tolerance that they were to keep."""

    rows: list[Row]
    tolerance: float

    @property
    def beyond(self) -> list[Row]:
        """The rows that differ by more, or could not be encoded anew."""
        return [row for row in self.rows if not row.difference <= self.tolerance]


def reencode(
    entry: Entry, dataset: Dataset, backbone: Backbone, count: int, seed: int = 0
) -> Reencoded:
    """Encode so many rows anew, chosen by the seed among those that could be read.

    Pictures are found by their ids, so the data set may be more than was encoded. Raises
    `CacheError` where the entry was imported, or encoded by another backbone.
    """
    _refuse_others(entry, backbone)
    kept = list(_chosen(entry, count, seed))
    items = {item.id: item for held in dataset.splits.values() for item in held}
    rows: list[Row] = []
    for start in range(0, len(kept), TOGETHER):
        part = kept[start : start + TOGETHER]
        rows += _compared(backbone, part, [items.get(each.id) for each in part])
    return Reencoded(rows, TOLERANCE[backbone.precision])


@dataclass(frozen=True)
class _Kept:
    """What is kept of a row; `digest` is of its picture's bytes, empty where not known."""

    split: str
    id: str
    embedding: NDArray[np.float32]
    digest: str


def _refuse_others(entry: Entry, backbone: Backbone) -> None:
    held = entry.manifest["backbone"]
    if entry.manifest.get("source") != "encoded":
        raise CacheError(f"{entry.key} was imported; nothing says how to encode it anew.")
    found = {
        "weights": (held.get("weights", held["fingerprint"]), backbone.weights),
        "activation": (held["activation"], backbone.activation),
        "preprocessing": (held["preprocess"], json.loads(json.dumps(asdict(backbone.preprocess)))),
        "precision": (held["precision"], backbone.precision),
        "configuration": (held.get("identity", backbone.identity), backbone.identity),
    }
    if unlike := [name for name, (a, b) in found.items() if a != b]:
        raise CacheError(
            f"{entry.key} was encoded by {held['name']} with other {unlike[0]} than "
            f"{backbone.name} has now; give the one that it was with --backbone."
        )


def _chosen(entry: Entry, count: int, seed: int) -> Iterator[_Kept]:
    """So many rows, in order, of all that are there and could be read."""
    places: list[tuple[str, str, int]] = []
    for split in entry.splits:
        for name, record in manifest.listed(entry.manifest, "images", split).items():
            valid = shard.read(path_of(entry.folder, name, record), "valid", record=record)
            places += [(split, name, int(i)) for i in np.flatnonzero(valid["valid"])]
    taken = random.Random(seed).sample(range(len(places)), min(count, len(places)))
    mine: dict[tuple[str, str], list[int]] = {}
    for split, name, i in (places[place] for place in sorted(taken)):
        mine.setdefault((split, name), []).append(i)
    for (split, name), rows in mine.items():
        record = entry.manifest["shards"][name]
        held = shard.read(path_of(entry.folder, name, record), record=record)
        ids, digests = shard.texts(held["id"][rows]), _digests(entry, split, record["start"])
        for id_, i in zip(ids, rows, strict=True):
            known = digests[i] if digests else ""
            yield _Kept(split, id_, held[EMBEDDING][i].astype(np.float32), known)


def _digests(entry: Entry, split: str, start: int) -> tuple[str, ...]:
    """The digests of the pictures of a unit, where the entry knows them."""
    for name, record in entry.shards(KIND, split).items():
        if record["start"] == start:
            return read(entry, name).digest
    return ()


def _compared(
    backbone: Backbone, kept: Sequence[_Kept], items: Sequence[Item | None]
) -> Iterator[Row]:
    anew = [_crops(backbone, item) for item in items]
    new = _embeddings(backbone, [crops.centre for crops in anew])
    old = np.stack([each.embedding for each in kept])
    length = np.linalg.norm(old, axis=1)
    apart = np.linalg.norm(new - old, axis=1) / np.where(length > 0, length, 1)
    cosines = cosine(new, old)
    for i, (each, crops) in enumerate(zip(kept, anew, strict=True)):
        if crops.reason:
            yield Row(each.split, each.id, nan, nan, crops.reason)
        else:
            other = each.digest and each.digest != crops.digest
            reason = "its bytes are not those that were encoded" if other else ""
            yield Row(each.split, each.id, float(cosines[i]), float(apart[i]), reason)


def _crops(backbone: Backbone, item: Item | None) -> Crops:
    if item is None:
        return Crops(None, [], "its picture is not in the data set any more", 0.0, 0.0)
    return crops_of(Wanted(item, centre=True, views=False), ViewRecipe(0), backbone.preprocess)


def _embeddings(backbone: Backbone, crops: Sequence[Pixels | None]) -> NDArray[np.float32]:
    """Embeddings `[n, d]`, zeros where there is no crop."""
    found = np.zeros((len(crops), backbone.width), np.float32)
    there = [i for i, crop in enumerate(crops) if crop is not None]
    if there:
        found[there] = encode_pictures(backbone, np.stack([c for c in crops if c is not None]))
    return found
