"""Rows whose bytes are known for the same model: taken over from shards of before, not encoded.

What gives rows are the units of every entry of the same backbone, and of this one those of an older
state. A unit that is damaged gives none. Views are taken with the boxes that they were drawn with,
also where the picture has another id by now.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featcache.encoding.plan import OF_VIEWS, ViewSet
from featcache.errors import CacheError
from featcache.store import shard
from featcache.store.cache import FeatureCache
from featcache.store.entry import EMBEDDING, Entry
from featcache.store.files import sha256_once
from featcache.store.originals import KIND, Originals, read
from featcache.store.rows import path_of

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Donor:
    """Shards of one unit by feature, each with its name and what is listed of it."""

    folder: Path
    shards: Mapping[str, tuple[str, Record]]

    @property
    def sound(self) -> bool:
        """Whether its shards are what was written."""
        try:
            return all(
                sha256_once(path_of(self.folder, name, record)) == record["sha256"]
                for name, record in self.shards.values()
            )
        except (CacheError, OSError):
            return False


class Place(NamedTuple):
    """A row of a donor's shards."""

    donor: Donor
    row: int


@dataclass
class Known:
    """Digests of pictures by split and row, and where features of such bytes lie.

    `centre` has those of centre crops, `views` those of views of one recipe.
    """

    digests: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    centre: dict[str, Place] = field(default_factory=dict)
    views: dict[str, Place] = field(default_factory=dict)
    _sound: dict[int, bool] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def of_centre(self, digest: str) -> Place | None:
        """Where the features of that picture's centre crop lie; None where they do not."""
        return self._checked(self.centre.get(digest))

    def of_views(self, digest: str) -> Place | None:
        """Where those of its views lie; None where they do not."""
        return self._checked(self.views.get(digest))

    def _checked(self, place: Place | None) -> Place | None:
        if place is None:
            return None
        with self._lock:  # many threads ask, and a shard is read once to be sure of it
            key = id(place.donor)
            if key not in self._sound:
                self._sound[key] = place.donor.sound
            return place if self._sound[key] else None


def take(out: Mapping[str, NDArray[Any]], places: Mapping[int, Place]) -> None:
    """Fill rows of `out` with what lies at their places.

    Raises what `featcache.store.shard.read` raises.
    """
    by_donor: dict[int, list[int]] = {}
    for row, place in places.items():
        by_donor.setdefault(id(place.donor), []).append(row)
    for rows in by_donor.values():
        donor = places[rows[0]].donor
        wanted, back = np.unique([places[row].row for row in rows], return_inverse=True)
        for feature, array in out.items():
            name, record = donor.shards[feature]
            path = path_of(donor.folder, name, record)
            held = shard.read(path, feature, wanted, record)[feature][back]
            array[rows] = held[:, : array.shape[1]]  # of views as many as are wanted


def known(
    entry: Entry,
    digests: Mapping[str, Mapping[int, str]],
    cache: FeatureCache,
    extras: Sequence[str],
    views: ViewSet,
) -> Known:
    """What can be taken over by an entry that is to hold these extras and views.

    Units that the entry lists by now give only views of other sets: a run that goes on, or works
    beside another, ends with the bytes of one that did it all.
    """
    found = Known(digests)
    identity = entry.manifest["backbone"].get("identity")
    others = [each for each in cache.entries() if each.folder != entry.folder]
    for each in [*others, entry]:  # what is found last counts: the entry's own
        if identity and each.manifest["backbone"].get("identity") == identity:
            for donor, originals, valid in _units(each, (EMBEDDING, *extras)):
                mine = each is entry and donor.shards[EMBEDDING][0] in entry.manifest["shards"]
                for row in np.flatnonzero(valid).tolist():
                    if originals.digest[row] and not mine:
                        found.centre[originals.digest[row]] = Place(donor, row)
                if views.name:
                    wanted = [name for name in (EMBEDDING, *extras) if name in OF_VIEWS]
                    but = views.name if mine else ""
                    found.views.update(_views(each, donor, originals, wanted, views, but))
    return found


def _records(entry: Entry) -> dict[str, Record]:
    return {**entry.manifest["shards"], **entry.manifest.get("older", {})}


def _units(
    entry: Entry, features: Sequence[str]
) -> Iterator[tuple[Donor, Originals, NDArray[np.bool_]]]:
    """The units that have all of these features, their originals, and which rows are readable."""
    by_unit: dict[tuple[Any, ...], dict[str, tuple[str, Record]]] = {}
    for name, record in _records(entry).items():
        if "split" in record and "set" not in record:
            kind = EMBEDDING if record["kind"] == "images" else record["kind"]
            by_unit.setdefault(_unit(record), {})[kind] = (name, record)
    for shards in by_unit.values():
        if KIND not in shards or not {*features} <= {*shards}:
            continue
        try:
            originals = read(entry, shards[KIND][0])
            name, record = shards[EMBEDDING]
            path = path_of(entry.folder, name, record)
            valid = shard.read(path, "valid", record=record)["valid"]
        except CacheError:
            continue  # what is damaged gives nothing
        yield Donor(entry.folder, {name: shards[name] for name in features}), originals, valid


def _views(
    entry: Entry,
    donor: Donor,
    originals: Originals,
    features: Sequence[str],
    views: ViewSet,
    but: str,
) -> Iterator[tuple[str, Place]]:
    """The views of a unit's rows, of any set of this recipe that has as many, but of one set."""
    unit = _unit(donor.shards[EMBEDDING][1])
    for name in (each for each in _of_recipe(entry, views) if each != but):
        shards = {
            EMBEDDING if record["kind"] == "views" else record["kind"]: (file, record)
            for file, record in _records(entry).items()
            if record.get("set") == name and _unit(record) == unit
        }
        if not {*features} <= {*shards}:
            continue
        file, record = shards[EMBEDDING]
        try:
            path = path_of(entry.folder, file, record)
            rows = shard.read(path, "row", record=record)["row"] - record["start"]
        except CacheError:
            continue
        of_views = Donor(entry.folder, {name: shards[name] for name in features})
        for i, row in enumerate(rows.tolist()):
            if originals.digest[row]:
                yield originals.digest[row], Place(of_views, i)


def _of_recipe(entry: Entry, views: ViewSet) -> Iterator[str]:
    wanted = views.header
    for name, held in entry.manifest["view_sets"].get("train", {}).items():
        same = all(held.get(key) == wanted[key] for key in wanted if key not in ("count", "rows"))
        if same and held["count"] >= wanted["count"]:
            yield name


def _unit(record: Record) -> tuple[Any, ...]:
    return tuple(record.get(key, 0) for key in ("split", "start", "stop", "generation"))
