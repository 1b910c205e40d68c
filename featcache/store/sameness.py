"""Which entries hold the same data, and what to call two that share a name and do not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from itertools import combinations

from featcache.store.entry import Entry


def same_data(one: Entry, other: Entry) -> bool:
    """Whether two entries of one name hold the same classes and pictures, as far as can be told.

    Each split that both have counts, by what its pictures are. An entry of before does not say
    that: then the listings count within one backbone, and across backbones class names alone.
    """
    if one.classnames != other.classnames:
        return False
    ours, theirs = one.manifest["dataset"], other.manifest["dataset"]
    mine, yours = ours.get("contents") or {}, theirs.get("contents") or {}
    if both := mine.keys() & yours.keys():
        return all(mine[split] == yours[split] for split in both)
    return one.backbone != other.backbone or ours.get("fingerprint") == theirs.get("fingerprint")


def differ(entries: Sequence[Entry]) -> bool:
    """Whether some two of the entries hold different data."""
    return not all(same_data(one, other) for one, other in combinations(entries, 2))


def data_id(entry: Entry) -> str:
    """Six hex digits of a hash of class names and pictures: the same wherever they are encoded.

    Of an entry of before it is that of class names and listing.
    """
    data = entry.manifest["dataset"]
    what = data.get("contents") or data.get("fingerprint", "")
    text = json.dumps([list(entry.classnames), what], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:6]


def shared_names(entries: Sequence[Entry]) -> set[str]:
    """The names that stand for several data sets among these entries."""
    names = {entry.dataset for entry in entries}
    return {name for name in names if differ([e for e in entries if e.dataset == name])}


def spellings(entries: Sequence[Entry]) -> set[str]:
    """What each can be asked for by: its data set's name, or its key where two share the name."""
    shared = shared_names(entries)
    return {entry.key if entry.dataset in shared else entry.dataset for entry in entries}
