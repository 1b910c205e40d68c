"""Digests and states come back as they were written; contents follow every row and its order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featcache.store.entry import Entry, reload
from featcache.store.originals import KIND, Originals, content_hash, contents, read
from featcache.store.writing import NewShard, amend, put
from tests.featcache.store.made import made

TEXT = st.text(st.characters(blacklist_characters="\0\n", codec="utf-8"), max_size=5)
ROWS = st.lists(st.tuples(TEXT, st.integers(0, 3), TEXT), max_size=4)


def unit(start: int, rows: int, *digests: str) -> NewShard:
    ids = tuple(f"test/ä{row}" for row in range(start, start + rows))
    state = np.arange(3 * rows).reshape(rows, 3)
    held = Originals(ids, (0,) * rows, digests or ("ab",) * rows, state)
    record = {"kind": KIND, "split": "test", "start": start, "stop": start + rows}
    return NewShard(f"pictures-test-{start}.h5", record, held.arrays)


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    return made(tmp_path)


def test_what_is_read_was_written(entry: Entry) -> None:
    put(entry, [unit(0, 2, "", "0123")])
    found = read(reload(entry), "pictures-test-0.h5")
    assert found.id == ("test/ä0", "test/ä1")
    assert (found.label, found.digest) == ((0, 0), ("", "0123"))
    assert found.state.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_what_was_set_aside_can_be_read(entry: Entry) -> None:
    put(entry, [unit(0, 2)])
    with amend(entry) as manifest:
        manifest["older"] = {"pictures-test-0.h5": manifest["shards"].pop("pictures-test-0.h5")}
    assert read(reload(entry), "pictures-test-0.h5").digest == ("ab", "ab")


def test_contents_are_of_whole_splits(entry: Entry) -> None:
    put(entry, [unit(2, 1)])
    assert contents(reload(entry)) == {}
    put(entry, [unit(0, 2)])
    ids = [f"test/ä{row}" for row in range(3)]
    assert contents(reload(entry)) == {"test": content_hash(ids, [0] * 3, ["ab"] * 3)}


@given(ROWS, ROWS)
def test_a_content_hash_tells_rows_apart(one: list[tuple], other: list[tuple]) -> None:
    hashes = [content_hash(*zip(*rows, strict=True)) if rows else "" for rows in (one, other)]
    assert (hashes[0] == hashes[1]) == (one == other)
