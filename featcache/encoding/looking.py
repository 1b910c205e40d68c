"""A data set's pictures as they lie there now, beside those that an entry was made of.

Size and times are looked at first: where they are what they were when a row was made, so are the
bytes. What is left is read and hashed.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from featcache.datasets.dataset import Dataset, Item
from featcache.encoding.decoding.fetching import fetching
from featcache.errors import PictureError
from featcache.pictures.digest import UNKNOWN, State, read, state_of
from featcache.store.entry import Entry
from featcache.store.originals import KIND, Originals
from featcache.store.originals import read as read_originals

MOST = 0.5  # a data set of which fewer pictures are known is another one
THREADS = 8
Value = TypeVar("Value")


class Look:
    """States of all pictures in the order of splits and rows, and digests of those looked at."""

    def __init__(self, dataset: Dataset) -> None:
        now = time.time_ns()
        self.dataset = dataset
        self.items: list[Item] = [item for rows in dataset.splits.values() for item in rows]
        self.states: list[State] = [state_of(item, now) for item in self.items]
        self._digests: dict[int, str] = {}

    def digests(self, rows: Sequence[int]) -> dict[int, str]:
        """Digests by row, empty where a picture cannot be read; each picture is read once."""
        missing = [row for row in rows if row not in self._digests]
        with ThreadPoolExecutor(THREADS) as pool, fetching(THREADS) as fetch:
            items = [self.items[row] for row in missing]
            found = pool.map(_digest, map(fetch.coming, items), items)
            self._digests.update(zip(missing, found, strict=True))
        return {row: self._digests[row] for row in rows}

    def by_split(self, values: Mapping[int, Value]) -> dict[str, dict[int, Value]]:
        """What is given by row of the whole, by split and row of the split."""
        found: dict[str, dict[int, Value]] = {}
        first = 0
        for split, items in self.dataset.splits.items():
            there = [row for row in range(len(items)) if first + row in values]
            found[split] = {row: values[first + row] for row in there}
            first += len(items)
        return found


@dataclass(frozen=True)
class Match:
    """What an entry knows of a data set's pictures.

    `digests` are those known by row of the `Look`; `held` is how many rows the entry has, `same`
    how many of them have equal bytes, and `lost` the ids that cannot be read any more.
    """

    entry: Entry
    digests: dict[int, str]
    held: int
    same: int
    lost: tuple[str, ...]

    def is_of(self, look: Look) -> bool:
        """Whether the entry is of this data set, if perhaps of another state of it."""
        splits = self.entry.manifest["asked"]
        now = sum(len(look.dataset.splits.get(split, ())) for split in splits)
        listed = self.entry.manifest["dataset"].get("fingerprint") == look.dataset.fingerprint
        most = self.held if listed else max(self.held, now)
        return bool(most) and self.same >= MOST * most


def compare(look: Look, entry: Entry, check: bool = False) -> Match:
    """What the entry knows of these pictures; `check` hashes all, whatever their times say.

    Raises `CacheError` where what the entry knows cannot be read.
    """
    held = _held(entry)
    digests: dict[int, str] = {}
    changed, lost = [], []
    for row, (item, state) in enumerate(zip(look.items, look.states, strict=True)):
        if item.id not in held:
            continue
        digest, before = held[item.id]
        if state == UNKNOWN:
            # It may be elsewhere for a while: what is known of it stays.
            digests[row] = digest
            lost += [item.id] if digest else []
        elif digest and state == before and state.sure and not check:
            digests[row] = digest
        else:
            changed.append(row)
    digests |= look.digests(changed)
    same = sum(held[look.items[row].id][0] == digest for row, digest in digests.items())
    match = Match(entry, digests, len(held), same, tuple(lost))
    if match.is_of(look) or not held:
        return match
    # Folders may have been renamed: then the bytes alone say that it is the same.
    digests |= look.digests([row for row in range(len(look.items)) if row not in digests])
    ours, theirs = Counter(digests.values()), Counter(digest for digest, _ in held.values())
    return Match(entry, digests, len(held), (ours & theirs).total(), tuple(lost))


def units(entry: Entry) -> dict[tuple[str, int], Originals]:
    """The originals of each listed unit, by split and first row."""
    return {
        (split, record["start"]): read_originals(entry, name)
        for split in entry.splits
        for name, record in entry.shards(KIND, split).items()
    }


def _held(entry: Entry) -> dict[str, tuple[str, State]]:
    """Digest and state of each row by id, also of an older state that was not done away with."""
    found: dict[str, tuple[str, State]] = {}
    older = [n for n, r in entry.manifest.get("older", {}).items() if r["kind"] == KIND]
    for unit in [*(read_originals(entry, name) for name in older), *units(entry).values()]:
        for item_id, digest, state in zip(unit.id, unit.digest, unit.state.tolist(), strict=True):
            found[item_id] = digest, State(*state)
    return found


def _digest(*asked: Item) -> str:
    for item in asked:  # a key is for good: what fails once is asked for again
        try:
            return read(item).digest
        except (OSError, PictureError):
            continue
    return ""
