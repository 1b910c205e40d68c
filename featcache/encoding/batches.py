"""Crops to features: batches of one fixed shape, each unit of work on its own.

Batches never cross a unit and the last one is padded: a unit's numbers do not depend on what was
encoded before it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featcache.backbones.backbone import Backbone
from featcache.backbones.forward import picture_features
from featcache.encoding.crops import Crops
from featcache.encoding.plan import Unit
from featcache.encoding.report import Report
from featcache.encoding.taking import Place, take
from featcache.pictures.digest import State
from featcache.store.entry import EMBEDDING, PATCHES

Arrays = dict[str, NDArray[Any]]


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
    """Collects crops into batches of one fixed shape and puts features where they belong."""

    def __init__(self, backbone: Backbone, out: Mapping[str, NDArray[Any]], size: int) -> None:
        side = backbone.preprocess.size
        self.backbone, self.out, self.rows = backbone, out, list[int]()
        self.buffer = np.zeros((size, side, side, 3), np.uint8)
        self.seconds, self.done = 0.0, 0

    def add(self, row: int, crop: NDArray[np.uint8]) -> None:
        """Take the crop whose features belong into that row of the arrays."""
        self.buffer[len(self.rows)] = crop
        self.rows.append(row)
        if len(self.rows) == len(self.buffer):
            self.flush()

    def flush(self) -> None:
        """Run the model on what has been collected, padded to a whole batch."""
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
class UnitEncoder:
    """Runs the model on the crops of one unit after the other, `views` of them a picture."""

    backbone: Backbone
    shapes: Mapping[str, tuple[int, ...]]
    views: int
    batch_size: int

    def features(
        self, unit: Unit, crops: Iterator[Crops], report: Report, further: Callable[[int], None]
    ) -> Features:
        """The features that the unit lacks, from the next crops, one picture a row of the unit."""
        centre = self._room(unit.centre, len(unit.rows))
        views = self._room(unit.views, len(unit.view_rows), self.views)
        streams = [
            Batches(self.backbone, centre, self.batch_size),
            Batches(self.backbone, _flat(views), self.batch_size),
        ]
        place = {row: i for i, row in enumerate(unit.view_rows)}
        reasons, digests, states = list[str](), list[str](), list[State]()
        centres_at, views_at = dict[int, Place](), dict[int, Place]()
        for i, row in enumerate(unit.rows):
            crop = next(crops)
            reasons.append(crop.reason)
            digests.append(crop.digest)
            states.append(crop.state)
            if crop.centre_at:
                centres_at[i] = crop.centre_at
            if crop.views_at:
                views_at[place[row]] = crop.views_at
            report.seconds["read"] += crop.read
            report.seconds["decode"] += crop.decode
            if crop.centre is not None:
                streams[0].add(i, crop.centre)
            for v, pixels in enumerate(crop.views):
                streams[1].add(place[row] * self.views + v, pixels)
            further(sum(stream.done for stream in streams))
        for stream in streams:
            stream.flush()
            report.seconds["forward"] += stream.seconds
            report.crops += stream.done
        take(centre, centres_at)
        take(views, views_at)
        report.taken += len(centres_at)
        return Features(centre, views, reasons, digests, states)

    def _room(self, features: Sequence[str], *rows: int) -> Arrays:
        """Zeros for those features; patches are half-floats from the start, for they are many."""
        dtypes = {PATCHES: np.float16}
        return {n: np.zeros((*rows, *self.shapes[n]), dtypes.get(n, np.float32)) for n in features}


def _flat(views: Arrays) -> Arrays:
    """The same memory `[n, v, …]` as `[n · v, …]`."""
    return {n: array.reshape(-1, *array.shape[2:]) for n, array in views.items()}
