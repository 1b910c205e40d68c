"""Rows of a large split come as they would with all the others, or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featcache.draws import grouped
from featcache.errors import CacheError, DamagedShardError, MissingShardError
from featcache.store import index, shard
from featcache.store.entry import Entry
from featcache.store.index import Index, index_of
from featcache.store.manifest import listed
from featcache.store.rows import pick
from tests import frozen
from tests.featcache.store.made import ROWS, made

FILE = "index-train.bin"


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory) -> Entry:
    return made(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def copy(entry: Entry, tmp_path: Path) -> Entry:
    """The same, for whoever changes something."""
    folder = tmp_path / entry.key
    shutil.copytree(entry.folder, folder, ignore=shutil.ignore_patterns("index-*"))
    return Entry(folder, entry.manifest)


def of(entry: Entry) -> Index:
    return index_of(entry.folder, "train", listed(entry.manifest, "images", "train"))


def read(entry: Entry, found: Index, rows: list[int]) -> tuple[np.ndarray, tuple[str, ...]]:
    records = listed(entry.manifest, "images", "train")
    return found.read(entry.folder, records, np.array(rows, np.int64))


def same(one: Index, other: Index) -> bool:
    return (
        one.places == other.places
        and one.sums.tolist() == other.sums.tolist()
        and one.groups.rows.tolist() == other.groups.rows.tolist()
        and one.groups.starts.tolist() == other.groups.starts.tolist()
    )


def test_its_own_records_stay_as_they_were_made() -> None:
    assert frozen.thawed(index) == []


def test_it_knows_the_readable_rows_of_each_class(entry: Entry) -> None:
    found = of(entry)
    assert [*map(list, np.split(found.groups.rows, found.groups.starts[1:-1]))] == [
        [0, 2, 4, 8],  # 6 could not be read
        [1, 3, 5, 7, 9],
    ]
    assert found.labels.tolist() == [0, 1, 0, 1, 0, 1, -1, 1, 0, 1]
    assert not found.whole
    assert len(found.sums) == ROWS


def test_of_a_split_that_could_all_be_read_it_is_the_groups_of_its_labels(entry: Entry) -> None:
    found = index_of(entry.folder, "test", listed(entry.manifest, "images", "test"))
    assert found.whole
    groups = grouped(entry.images("test").label)
    assert found.groups.rows.tolist() == groups.rows.tolist()
    assert found.groups.starts.tolist() == groups.starts.tolist()


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(st.integers(0, ROWS - 1), max_size=25))
def test_rows_are_those_that_are_picked_from_blocks(entry: Entry, rows: list[int]) -> None:
    x, ids = read(entry, of(entry), rows)
    every = entry.images("train")
    assert x.dtype == np.float32
    assert x.tobytes() == every.embedding[rows].tobytes()
    assert ids == tuple(every.id[row] for row in rows)
    records = listed(entry.manifest, "images", "train")
    picked = pick(entry.folder, records, "embedding", np.array(rows, np.int64))
    assert picked is None or x.tolist() == picked.tolist()


def test_it_is_made_once_and_kept(copy: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    made_now = of(copy)
    monkeypatch.setattr(shard, "read", lambda *_, **__: pytest.fail("it reads shards again"))
    kept = of(copy)
    assert same(made_now, kept)
    assert read(copy, kept, [9, 0])[0].tolist() == [[9, 9.5], [0, 0.5]]


def test_one_that_is_damaged_is_made_anew(copy: Entry) -> None:
    """Whatever bit is flipped and wherever it is cut, nobody notices."""
    whole = of(copy)
    path = copy.folder / FILE
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in [*range(0, 120, 5), *rng.integers(0, len(content), 40)]:
        path.write_bytes(
            content[:place] + bytes([content[place] ^ 1 << rng.integers(8)]) + content[place + 1 :]
        )
        assert same(of(copy), whole)
    for length in (0, 10, 255, 256, 300, len(content) - 1):
        path.write_bytes(content[:length])
        assert same(of(copy), whole)
    assert path.read_bytes() == content


def test_one_of_other_shards_is_made_anew(copy: Entry) -> None:
    of(copy)
    records = listed(copy.manifest, "images", "train")
    fewer = dict([*records.items()][:2])
    assert len(index_of(copy.folder, "train", fewer).sums) == 8
    assert len(of(copy).sums) == ROWS


def test_where_nothing_can_be_written_it_stays_in_memory(
    copy: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise CacheError("read-only")

    monkeypatch.setattr(index, "replace", refuse)
    assert read(copy, of(copy), [3])[0].tolist() == [[3, 3.5]]
    assert not (copy.folder / FILE).exists()


def test_damage_is_refused_in_rows_that_are_read_and_verify_finds_the_rest(copy: Entry) -> None:
    found = of(copy)
    path = copy.folder / "images-train-00001.h5"  # rows 4 to 7
    content = path.read_bytes()
    half = np.array([5, 5.5], np.float16).tobytes()
    for wanted in (half, "train/ä5".encode()):
        at = content.index(wanted)
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        with pytest.raises(DamagedShardError, match=r"00001\.h5 is damaged \(row 5 is another"):
            read(copy, found, [0, 5])
        assert read(copy, found, [4, 7])[0].tolist() == [[4, 4.5], [7, 7.5]]
        assert any("00001.h5 is damaged" in problem for problem in copy.problems())


def test_a_shard_that_is_lost_or_of_another_size_is_refused(copy: Entry) -> None:
    found, path = of(copy), copy.folder / "images-train-00001.h5"
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(DamagedShardError, match="bytes where the manifest lists"):
        read(copy, found, [5])
    path.unlink()
    with pytest.raises(MissingShardError):
        read(copy, found, [5])
    assert read(copy, found, [0])[0].tolist() == [[0, 0.5]]


def test_damage_is_refused_where_it_is_made(copy: Entry) -> None:
    path = copy.folder / "images-train-00001.h5"
    content = path.read_bytes()
    at = content.index(np.array([5, 5.5], np.float16).tobytes())
    path.write_bytes(content[:at] + b"\1" + content[at + 1 :])
    with pytest.raises(DamagedShardError, match="another sum than is listed"):
        of(copy)
    assert not (copy.folder / FILE).exists()


def test_only_large_splits_with_sums_are_worth_it(
    entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = listed(entry.manifest, "images", "train")
    assert entry.index("train") is None
    monkeypatch.setattr(index, "LARGE", 2 * 2 * ROWS)
    assert index.large(records, 2)
    assert not index.large(records, 1)
    before = {n: {k: v for k, v in r.items() if k != "sums"} for n, r in records.items()}
    assert not index.large(before, 2)
