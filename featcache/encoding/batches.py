"""Crops to features: batches of a few fixed sizes, each unit of work on its own.

Batches never cross a unit, and the size of its last one is rounded up: a unit's numbers do not
depend on what was encoded before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from featcache.backbones.backbone import Backbone
from featcache.backbones.forward import picture_features
from featcache.encoding.card import squares
from featcache.encoding.decoding.crops import Coded, Crops
from featcache.encoding.plan import Unit
from featcache.encoding.staging import Buffer, Made, Staging
from featcache.encoding.taking import Place, take
from featcache.pictures.digest import State
from featcache.store.entry import EMBEDDING, PATCHES

# What a card decodes at once at most: pictures, and their pixels with those of their crops, each of
# which takes some 16 bytes there.
TOGETHER, PIXELS_TOGETHER = 128, 32 << 20

Arrays = dict[str, NDArray[Any]]
Crop = NDArray[np.uint8] | Tensor


@dataclass(frozen=True)
class Features:
    """What a unit's crops gave, by feature: `centre [n, …]` of its rows, `views [n, v, …]`.

    `reasons` says of each row why it could not be read, or is empty there; `digests` and `states`
    are those of the bytes that it was made of.
    """

    centre: Arrays
    views: Arrays
    reasons: list[str]
    digests: list[str]
    states: list[State]


def feature_shapes(backbone: Backbone, extras: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """The shape of each feature of one picture, by asking the model for an empty one.

    Raises `UnknownNameError` or `BackboneError` where the model has no such extras.
    """
    if not extras:
        return {EMBEDDING: (backbone.width,)}
    side = backbone.preprocess.size
    found = picture_features(backbone, np.zeros((1, side, side, 3), np.uint8), extras)
    return {name: array.shape[1:] for name, array in found.items()}


class Batches:
    """Collects crops into batches and puts features where they belong, at the latest when asked."""

    def __init__(self, staging: Staging, out: Mapping[str, NDArray[Any]]) -> None:
        self.staging, self.out = staging, out
        self.rows = list[int]()
        self.buffer: Buffer | None = None
        self.made: list[tuple[list[int], Made]] = []
        self.seconds, self.done = 0.0, 0

    def add(self, row: int, crop: Crop) -> None:
        """Take the crop whose features belong into that row of the arrays."""
        if self.buffer is None:
            self.buffer = self.staging.take()
        self.staging.put(self.buffer, len(self.rows), crop)
        self.rows.append(row)
        if len(self.rows) >= self.staging.size:
            self.flush()

    def flush(self) -> None:
        """Run the model on what has been collected."""
        if self.buffer is None:
            return
        extras = [name for name in self.out if name != EMBEDDING]
        made = self.staging.run(self.buffer, len(self.rows), extras)
        self.made.append((self.rows, made))
        self.done += len(self.rows)
        self.rows, self.buffer = [], None
        if not self.staging.overlaps or PATCHES in self.out:  # a unit of patches fills a device
            self.collect()

    def collect(self) -> None:
        """Put what was made into the arrays; on a device that works ahead this waits for it."""
        if not self.made:
            return
        rows = np.concatenate([rows for rows, _ in self.made])
        found, seconds = self.staging.collected([made for _, made in self.made], self.out)
        for name, array in self.out.items():
            array[rows] = found[name]
        self.seconds += seconds
        self.made = []


@dataclass(frozen=True)
class UnitEncoder:
    """Runs the model on the crops of one unit after the other, `views` of them a picture."""

    staging: Staging
    shapes: Mapping[str, tuple[int, ...]]
    views: int

    @property
    def backbone(self) -> Backbone:
        """Whose features these are."""
        return self.staging.backbone

    def begin(self, unit: Unit) -> UnitBatches:
        """What takes the unit's crops, one picture a row of the unit, in order."""
        return UnitBatches(
            unit,
            self.staging,
            self.views,
            self._room(unit.centre, len(unit.rows)),
            self._room(unit.views, len(unit.view_rows), self.views),
        )

    def _room(self, features: Sequence[str], *rows: int) -> Arrays:
        """Zeros for those features; patches are half-floats from the start, for they are many."""
        dtypes = {PATCHES: np.float16}
        return {n: np.zeros((*rows, *self.shapes[n]), dtypes.get(n, np.float32)) for n in features}


class UnitBatches:
    """The batches of a unit and what is known of its pictures."""

    def __init__(
        self, unit: Unit, staging: Staging, views: int, centre: Arrays, of_views: Arrays
    ) -> None:
        self.unit, self.views, self.backbone = unit, views, staging.backbone
        self.features = Features(centre, of_views, [], [], [])
        self.streams = Batches(staging, centre), Batches(staging, _flat(of_views))
        self.place = {row: i for i, row in enumerate(unit.view_rows)}
        self.centres_at, self.views_at = dict[int, Place](), dict[int, Place]()
        self.coded: list[tuple[int, Coded]] = []
        # Problems share pictures: where the first row of the same bytes is, and which rows follow.
        self.first, self.again = dict[str, int](), dict[int, int]()

    @property
    def done(self) -> int:
        """How many crops have been handed to the model."""
        return sum(stream.done for stream in self.streams)

    @property
    def seconds(self) -> float:
        """How long the model took, once all is collected."""
        return sum(stream.seconds for stream in self.streams)

    @property
    def taken(self) -> int:
        """How many rows are known and lie elsewhere."""
        return len(self.centres_at)

    def add(self, crops: Crops) -> None:
        """Take the crops of the next row."""
        features, i = self.features, len(self.features.reasons)
        row = self.unit.rows[i]
        features.reasons.append(crops.reason)
        features.digests.append(crops.digest)
        features.states.append(crops.state)
        if crops.centre_at:
            self.centres_at[i] = crops.centre_at
        if crops.views_at:
            self.views_at[self.place[row]] = crops.views_at
        if crops.coded is not None:
            # Its bytes may lie in memory that is used again.
            self.coded.append((i, replace(crops.coded, content=crops.coded.content.copy())))
            side = self.backbone.preprocess.size
            pixels = sum(each.pixels(side) for _, each in self.coded)
            if len(self.coded) == TOGETHER or pixels >= PIXELS_TOGETHER:
                self._decode()
        centre = crops.centre
        if centre is not None and crops.digest:
            first = self.first.setdefault(crops.digest, i)
            if first != i:
                self.again[i], centre = first, None
        self._add(i, centre, crops.views)

    def _add(self, i: int, centre: Crop | None, views: Sequence[Crop]) -> None:
        if centre is not None:
            self.streams[0].add(i, centre)
        for v, crop in enumerate(views):
            self.streams[1].add(self.place[self.unit.rows[i]] * self.views + v, crop)

    def _decode(self) -> None:
        """Make the crops of coded pictures on the card."""
        places, coded = [i for i, _ in self.coded], [each for _, each in self.coded]
        self.coded = []
        for i, (centre, views, reason) in zip(places, squares(coded, self.backbone), strict=True):
            self.features.reasons[i] = reason
            self._add(i, centre, views)

    def flush(self) -> None:
        """Hand the rest to the model."""
        self._decode()
        for stream in self.streams:
            stream.flush()

    def finish(self) -> Features:
        """All features of the unit; waits for the device, and may do so in another thread.

        Raises what `featcache.store.shard.read` raises for rows that are taken over.
        """
        for stream in self.streams:
            stream.collect()
        take(self.features.centre, self.centres_at)
        take(self.features.views, self.views_at)
        if self.again:
            for array in self.features.centre.values():
                array[[*self.again]] = array[[*self.again.values()]]
        return self.features


def _flat(views: Arrays) -> Arrays:
    """The same memory `[n, v, …]` as `[n · v, …]`."""
    return {n: array.reshape(-1, *array.shape[2:]) for n, array in views.items()}
