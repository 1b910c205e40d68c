"""Parts of an entry that several machines encoded become one: shards are checked, copied, listed.

A shard is known by where it belongs (kind, split, rows, view set, bank), whatever its file is
called. What stands there already is never changed, unless it is missing or damaged.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from featcache.errors import CacheError, DamagedShardError, MissingShardError
from featcache.files import beside
from featcache.store import files, manifest
from featcache.store.cache import FeatureCache
from featcache.store.difference import unlike
from featcache.store.entry import EXTRAS, Entry, open_entry, reload
from featcache.store.originals import KIND as ORIGINALS
from featcache.store.originals import contents
from featcache.store.rows import path_of
from featcache.store.writing import amend

IDENTITY = ("dataset", "backbone", "source", "normalised", "shard_rows", "files", "stored_as")
GROWING = ("shards", "texts", "asked", "view_sets", "extras", "older", "generation")
PLACE = ("kind", "split", "start", "stop", "set", "bank")

Shards = Mapping[str, Mapping[str, Any]]  # what a manifest lists of each file


@dataclass
class Merged:
    """What was done: files copied, how many were there already, and what people should know.

    `told` speaks of shards that both have with other content, of which ours stay, and of other
    versions; `problems` of shards that could not be taken.
    """

    entry: Entry
    taken: list[str] = field(default_factory=list)
    held: int = 0
    told: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def parts_of(path: Path) -> tuple[list[Entry], dict[str, str]]:
    """The entries of a cache's root, or the one whose folder this is; and those damaged, by key.

    Raises `CacheError` where there is none, or where a folder is not called as its entry.
    """
    if not (path / manifest.FILE).is_file():
        found, broken = FeatureCache(path).look()
        if not found and not broken:
            raise CacheError(f"{path} holds no entries; give a cache, or an entry's folder.")
        return found, broken
    entry = Entry(path.resolve(), manifest.load(path))
    if entry.folder.parts[-3] != entry.dataset:
        raise CacheError(
            f"{path} is an entry of {entry.dataset!r} outside its folders; put it at "
            f"{entry.dataset}/BACKBONE/ID as it was in its cache, and give that."
        )
    return [entry], {}


def merge(theirs: Entry, cache: FeatureCache) -> Merged:
    """Take what the cache's entry of that key lacks from another cache's.

    It may be run again, also after it was killed. Raises `CacheError` where the two are not the
    same data set encoded by the same backbone, or where the disk refuses.
    """
    folder = cache.root / theirs.key
    if folder.resolve() == theirs.folder.resolve():
        raise CacheError(f"{theirs.folder} is in the cache {cache.root} itself; name another.")
    header = {k: v for k, v in theirs.manifest.items() if k not in (*GROWING, "format")}
    ours = open_entry(folder, header)
    _refuse_others(ours, theirs)
    with amend(ours) as listed:
        _announce(listed, theirs.manifest)
    result = Merged(reload(ours))
    versions = [e.manifest.get("versions", {}) for e in (ours, theirs)]
    if differ := unlike(*versions):
        result.told.append(
            f"{theirs.folder} was encoded with other versions of {', '.join(differ)}."
        )
    for place in sorted({_unit(record) for record in theirs.manifest["shards"].values()}):
        _take_unit(result, theirs, place)
    whole = contents(reload(ours))
    if whole and reload(ours).manifest["dataset"].get("contents") != whole:
        with amend(ours) as listed:
            listed["dataset"]["contents"] = whole
    result.entry = reload(ours)
    return result


def _refuse_others(ours: Entry, theirs: Entry) -> None:
    one, other = ({k: _lasting(e.manifest.get(k)) for k in IDENTITY} for e in (ours, theirs))
    if differ := unlike(one, other):
        raise CacheError(
            f"{theirs.folder} is not a part of {ours.folder}: they differ in {', '.join(differ)}; "
            "`featcache diff` with both folders tells more."
        )
    sets, others = (e.manifest["view_sets"].get("train", {}) for e in (ours, theirs))
    if others_named := [name for name in sets if others.get(name, sets[name]) != sets[name]]:
        raise CacheError(
            f"{theirs.folder} has other views of the name {others_named[0]!r}; encode anew."
        )


def _lasting(value: Any) -> Any:
    """What does not grow while a data set is being encoded."""
    if not isinstance(value, Mapping):
        return value
    return {key: each for key, each in value.items() if key != "contents"}


def _announce(ours: dict[str, Any], theirs: Mapping[str, Any]) -> None:
    """What either was asked for is asked of both together; ours stay the newest."""
    asked = {*ours["asked"], *theirs["asked"]}
    ours["asked"] = [split for split in ours["dataset"]["splits"] if split in asked]
    for split, sets in theirs["view_sets"].items():
        held = ours["view_sets"].get(split, {})
        ours["view_sets"][split] = {n: s for n, s in sets.items() if n not in held} | held
    wanted = [each.get("extras", {}) for each in (ours, theirs)]
    both = {name: {s for each in wanted for s in each.get(name, ())} for name in EXTRAS}
    if any(both.values()):
        order = ours["dataset"]["splits"]
        ours["extras"] = {n: [s for s in order if s in both[n]] for n in EXTRAS if both[n]}
    texts = {b: n for b, n in theirs["texts"].items() if n in theirs["shards"]}
    ours["texts"] = {b: n for b, n in texts.items() if b not in ours["texts"]} | ours["texts"]


def _take_unit(result: Merged, theirs: Entry, unit: tuple[str, int]) -> None:
    """Copy what ours lacks of the shards of one unit of rows, all or nothing, and list it."""
    ours = reload(result.entry)
    mine = {_place(record): name for name, record in _of_unit(ours.manifest, unit).items()}
    wanted: dict[str, Mapping[str, Any]] = {}
    lost, unlike = [], []
    for name, record in _of_unit(theirs.manifest, unit).items():
        held = mine.get(_place(record))
        same = held and ours.manifest["shards"][held]["sha256"] == record["sha256"]
        if held is None:
            wanted[name] = record
        elif _is_lost(ours, held, whole=not same):
            wanted[name] = record
            lost.append(held)
        elif same or record["kind"] == ORIGINALS:  # file times are those of each machine
            result.held += 1
        else:
            unlike.append(f"{name} is another in {theirs.folder}; ours is kept.")
    result.told += unlike
    if unlike or not wanted:  # what was encoded otherwise does not belong beside ours
        return
    try:
        for name, record in wanted.items():
            _copy(theirs.folder, ours.folder, name, record)
    except (DamagedShardError, MissingShardError) as error:
        result.problems.append(str(error))
        return
    with amend(ours) as listed:
        shards = {n: r for n, r in listed["shards"].items() if n not in lost}
        listed["shards"] = {**shards, **wanted}
        for bank, name in theirs.manifest["texts"].items():
            if name in wanted:  # in place of one of that bank that is not there
                listed["texts"][bank] = name
    result.taken += wanted


def _copy(source: Path, target: Path, name: str, record: Mapping[str, Any]) -> None:
    """A shard from one folder to the other, if its bytes are those that were listed."""
    path = path_of(source, name, record)
    with beside(target / name) as draft:
        shutil.copyfile(path, draft)
        if files.sha256(draft) != record["sha256"]:
            raise DamagedShardError(files.damaged(path, "SHA-256"))


def _is_lost(entry: Entry, name: str, whole: bool) -> bool:
    """Whether a shard is missing or damaged; by its size alone unless all of it is to be read."""
    try:
        if whole:
            entry.check(name)
        path_of(entry.folder, name, entry.manifest["shards"][name])
    except (DamagedShardError, MissingShardError):
        return True
    return False


def _place(record: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(record.get(key) for key in PLACE)


def _unit(record: Mapping[str, Any]) -> tuple[str, int]:
    """The split and first row of the rows of a shard; prompts are units of their own."""
    return record.get("split", f"\0{record.get('bank', record['kind'])}"), record.get("start", 0)


def _of_unit(listed: Mapping[str, Any], unit: tuple[str, int]) -> Shards:
    """The shards of a unit, without prompts that gave way to others of their bank."""
    return {
        name: record
        for name, record in listed["shards"].items()
        if _unit(record) == unit and (record["kind"] != "text" or name in listed["texts"].values())
    }
