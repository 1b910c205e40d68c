"""An entry brought up to date with its data set: what no longer fits is set aside.

Set aside means listed as `older`: its rows can be taken over, and it is done away with when all is
there again. Until then the entry says that it is not complete, and holds nothing that is not so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from featcache.datasets.dataset import Dataset
from featcache.encoding.looking import Look, Match, units
from featcache.encoding.plan import rows_with_views
from featcache.pictures.digest import State
from featcache.store import manifest as manifests
from featcache.store import shard
from featcache.store.entry import Entry, reload
from featcache.store.originals import KIND, Originals
from featcache.store.rows import path_of
from featcache.store.writing import NewShard, amend, put

if TYPE_CHECKING:
    from numpy.typing import NDArray


def settle(match: Match, look: Look, header: Mapping[str, Any]) -> tuple[Entry, list[str]]:
    """The entry with what no longer fits set aside, and sentences on that."""
    entry, dataset = match.entry, look.dataset
    digests = look.by_split(match.digests)
    states = look.by_split(dict(enumerate(look.states)))
    stale, touched, replaced = [], list[NewShard](), list[str]()
    held, size = units(entry), entry.manifest["shard_rows"]
    for place, record in _places(entry).items():
        before = held.get(place[:2])
        now = _now(dataset, digests, states, place, size)
        if before is None or now is None or not _same(before, now):
            stale.append(place)
            continue
        # What is out of reach for now is as it was when last seen.
        state = np.where(now.state[:, :1] < 0, before.state, now.state)
        if (state != before.state).any():
            name, listed = record
            fresh = Originals(now.id, now.label, now.digest, state)
            touched.append(NewShard(_renamed(name, state), _as_written(listed), fresh.arrays))
            replaced.append(name)
    if touched:
        put(entry, touched)
        for name in {*replaced} - {new.name for new in touched}:
            (entry.folder / name).unlink(missing_ok=True)
    notes = []
    if match.lost:
        notes.append(
            f"{len(match.lost)} pictures cannot be read now, the first is {match.lost[0]}; their "
            "features are kept as they are."
        )
    listing = entry.manifest["dataset"]["fingerprint"] != dataset.fingerprint
    if listing:
        stale += [place for place in _without_views(entry, dataset) if place not in stale]
    if stale or listing:
        _set_aside(entry, header, stale)
    elif dataset.class_ids not in ((), entry.class_ids):  # which earlier versions did not keep
        with amend(entry) as manifest:
            manifest["dataset"]["class_ids"] = list(dataset.class_ids)
    return reload(entry), notes


def _places(entry: Entry) -> dict[tuple[str, int, int], tuple[str, dict[str, Any]]]:
    """Split, first row and stop of each unit that has shards, with that of its originals."""
    found: dict[tuple[str, int, int], tuple[str, dict[str, Any]]] = {}
    for name, record in entry.manifest["shards"].items():
        if "start" in record:
            place = record["split"], record["start"], record["stop"]
            if place not in found or record["kind"] == KIND:
                found[place] = name, record
    return found


def _now(
    dataset: Dataset,
    digests: Mapping[str, Mapping[int, str]],
    states: Mapping[str, Mapping[int, State]],
    place: tuple[str, int, int],
    size: int,
) -> Originals | None:
    """What a unit would be made of now; None where the data set has no such unit."""
    split, start, stop = place
    items = dataset.splits.get(split, ())
    if stop != min(start + size, len(items)) or start >= len(items):
        return None
    rows = range(start, stop)
    return Originals(
        tuple(items[row].id for row in rows),
        tuple(items[row].label for row in rows),
        tuple(digests[split].get(row, "?") for row in rows),
        np.array([states[split][row] for row in rows], np.int64).reshape(-1, 3),
    )


def _same(one: Originals, other: Originals) -> bool:
    return (one.id, one.label, one.digest) == (other.id, other.label, other.digest)


def _renamed(name: str, state: NDArray[np.int64]) -> str:
    """Another file name for originals that are noted anew: what is listed stays until it is not."""
    return f"{name.partition('.')[0]}.{hashlib.sha256(state.tobytes()).hexdigest()[:8]}.h5"


def _as_written(record: Mapping[str, Any]) -> dict[str, Any]:
    return {key: record[key] for key in record if key not in ("bytes", "sha256", "sums")}


def _without_views(entry: Entry, dataset: Dataset) -> Iterator[tuple[str, int, int]]:
    """Units of which few-shot draws can now use rows that have no views in a set that is there."""
    for name, header in entry.manifest["view_sets"].get("train", {}).items():
        wanted = rows_with_views(dataset, header.get("rows", "few-shot"))
        for file, record in manifests.listed(entry.manifest, "views", "train", name).items():
            near = wanted[(wanted >= record["start"]) & (wanted < record["stop"])]
            path = path_of(entry.folder, file, record)
            if not np.isin(near, shard.read(path, "row", record=record)["row"]).all():
                yield record["split"], record["start"], record["stop"]


def _set_aside(
    entry: Entry, header: Mapping[str, Any], stale: Sequence[tuple[str, int, int]]
) -> None:
    """Give the entry its new header; shards that no longer fit are `older` from then on."""
    with amend(entry) as manifest:
        renamed = manifest["dataset"]["classnames"] != header["dataset"]["classnames"]
        older = {}
        for name, record in entry.manifest["shards"].items():
            place = record.get("split"), record.get("start"), record.get("stop")
            # What somebody else has written since is of the new state.
            if manifest["shards"].get(name) == record and (
                place in stale or (renamed and record["kind"] == "text")
            ):
                older[name] = record
        manifest["older"] = {**manifest.get("older", {}), **older}
        manifest["shards"] = {n: r for n, r in manifest["shards"].items() if n not in older}
        manifest["generation"] = manifest.get("generation", 0) + 1
        manifest["asked"] = [s for s in manifest["asked"] if s in header["dataset"]["splits"]]
        manifest["dataset"] = dict(header["dataset"])
        for extra, splits in manifest.get("extras", {}).items():
            manifest["extras"][extra] = [s for s in splits if s in header["dataset"]["splits"]]
