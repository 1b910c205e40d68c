"""Features to shards: what half precision can hold, beside labels, ids and reasons; then listed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featcache.backbones.backbone import Backbone
from featcache.backbones.image_tower import projection
from featcache.datasets.dataset import Dataset, Item
from featcache.encoding.batches import Arrays, Features
from featcache.encoding.plan import Unit, kind_of, shard_name
from featcache.errors import BackboneError, CacheError
from featcache.store.entry import EMBEDDING, PROJECTION_SHARD, Entry
from featcache.store.features import ProjectionWeights
from featcache.store.originals import KIND, Originals
from featcache.store.writing import Listing, NewShard, image_arrays, put_projection


def write_projection(entry: Entry, backbone: Backbone) -> None:
    """Write the last map of the image tower, unless it stands there."""
    if PROJECTION_SHARD not in entry.manifest["shards"]:
        weight, bias = (part.float().cpu().numpy() for part in projection(backbone.model))
        put_projection(entry, ProjectionWeights(np.ascontiguousarray(weight), bias))


@dataclass(frozen=True)
class UnitWriter:
    """Writes the features of units and lists them; `known_bad` are ids that are marked as bad.

    `digests` are those of the bytes that its rows were made of, as far as they are known.
    """

    listing: Listing
    dataset: Dataset
    backbone: str
    view_set: str
    known_bad: frozenset[str]
    digests: Mapping[str, Mapping[int, str]] = field(default_factory=dict)

    def write(self, unit: Unit, features: Features) -> None:
        """Write the unit's shards and list them, at the latest with `listing.finish`.

        Raises `CacheError` where the disk refuses, or where a picture that has an embedding can no
        longer be read; `BackboneError` for extra features that half precision cannot hold.
        """
        items = [self.dataset.splits[unit.split][row] for row in unit.rows]
        if unit.follows:
            self._check_still_readable(items, features.reasons)
        if EMBEDDING not in unit.centre:
            self._check_same(unit, items, features.digests)
        centre = self._centre_arrays(items, features.centre, features.reasons)
        bad = {row for row, why in zip(unit.rows, features.reasons, strict=True) if why}
        views = self._view_arrays(unit, features.views, bad)
        made = [*self._centre_shards(unit, centre), *self._view_shards(unit, views)]
        if EMBEDDING in unit.centre:
            made.append(self._originals(unit, items, features))
        self.listing.put(made)

    @property
    def entry(self) -> Entry:
        """What they are written into."""
        return self.listing.entry

    def _originals(self, unit: Unit, items: Sequence[Item], features: Features) -> NewShard:
        number = unit.start // self.entry.manifest["shard_rows"]
        name = shard_name(KIND, unit.split, number, generation=unit.generation)
        held = Originals(
            tuple(item.id for item in items),
            tuple(item.label for item in items),
            tuple(features.digests),
            np.array(features.states, np.int64),
        )
        return NewShard(name, {"kind": KIND, **unit.place}, held.arrays)

    def _check_still_readable(self, items: Sequence[Item], reasons: Sequence[str]) -> None:
        for item, reason in zip(items, reasons, strict=True):
            if reason and item.id not in self.known_bad:
                raise CacheError(
                    f"the picture {item.id} of {self.dataset.name} could be read when it was "
                    f"embedded and cannot now ({reason}); mend it and run again."
                )

    def _check_same(self, unit: Unit, items: Sequence[Item], digests: Sequence[str]) -> None:
        known = self.digests.get(unit.split, {})
        for row, item, digest in zip(unit.rows, items, digests, strict=True):
            if digest and known.get(row, digest) != digest:
                raise CacheError(
                    f"the picture {item.id} of {self.dataset.name} was changed while it was being "
                    "encoded; run the same `featcache encode` again."
                )

    def _centre_arrays(
        self, items: Sequence[Item], found: Arrays, reasons: list[str]
    ) -> dict[str, Arrays]:
        valid = np.array(
            [not r and i.id not in self.known_bad for i, r in zip(items, reasons, strict=True)]
        )
        arrays: dict[str, Arrays] = {}
        if EMBEDDING in found:
            half = _half(found[EMBEDDING])
            finite = np.asarray(np.isfinite(half).all(axis=1))
            half[~finite] = 0
            valid &= finite
            reasons = [
                reason or ("" if ok else "its embedding is not finite")
                for reason, ok in zip(reasons, finite, strict=True)
            ]
            labels, ids = [item.label for item in items], [item.id for item in items]
            arrays[EMBEDDING] = image_arrays(half, labels, ids, valid, reasons)
        for name in found:
            if name != EMBEDDING:
                found[name][~valid] = 0
                arrays[name] = {name: self._finite(name, found[name])}
        return arrays

    def _view_arrays(self, unit: Unit, found: Arrays, bad: set[int]) -> dict[str, Arrays]:
        kept = np.array([row not in bad for row in unit.view_rows])
        arrays: dict[str, Arrays] = {}
        for name, array in found.items():
            stack = array[kept]  # [n, v, …]
            half = _half(stack) if name == EMBEDDING else self._finite(name, stack)
            # The centre crop, view 0, stands in the image shard.
            arrays[name] = {name: half, "row": np.array(unit.view_rows, np.int64)[kept]}
        return arrays

    def _centre_shards(self, unit: Unit, arrays: dict[str, Arrays]) -> Iterator[NewShard]:
        number = unit.start // self.entry.manifest["shard_rows"]
        for feature, content in arrays.items():
            record: dict[str, Any] = {"kind": kind_of(feature)}
            record |= unit.place
            if feature == EMBEDDING:
                record["bad"] = int((~content["valid"]).sum())
            name = shard_name(feature, unit.split, number, generation=unit.generation)
            yield NewShard(name, record, content)

    def _view_shards(self, unit: Unit, arrays: dict[str, Arrays]) -> Iterator[NewShard]:
        number = unit.start // self.entry.manifest["shard_rows"]
        for feature, content in arrays.items():
            kind = kind_of(feature, self.view_set)
            record = {"kind": kind, **unit.place, "set": self.view_set}
            name = shard_name(feature, unit.split, number, self.view_set, unit.generation)
            yield NewShard(name, record, content)

    def _finite(self, name: str, array: NDArray[Any]) -> NDArray[np.float16]:
        half = _half(array)
        if not np.isfinite(half).all():
            raise BackboneError(
                f"{self.backbone} gave {name} features of {self.dataset.name} that half "
                f"precision cannot hold; encode without --extra {name}."
            )
        return half


def _half(array: NDArray[Any]) -> NDArray[np.float16]:
    with np.errstate(over="ignore"):
        return array.astype(np.float16, copy=False)
