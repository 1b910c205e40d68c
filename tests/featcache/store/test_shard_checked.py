"""Shards held against what a manifest lists of them: a damaged one is never read as numbers."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from featcache.errors import CacheError, DamagedShardError, MissingShardError
from featcache.store import files, shard, sums

ARRAYS = {
    "embedding": np.arange(3000, dtype=np.float16).reshape(100, 30),
    "label": np.arange(100),
    "id": shard.strings([f"pictures/ä{i}.jpg" for i in range(100)]),
}


def listed(path: Path, arrays: Any) -> dict[str, Any]:
    """A shard written, and the record of it."""
    return asdict(shard.write(path, arrays))


BIG = {
    "embedding": np.random.default_rng(0).normal(size=(3000, 300)).astype(np.float16),
    "id": shard.strings([f"ä{i}" for i in range(3000)]),
}


def read_or_refused(path: Path, record: dict[str, Any]) -> None:
    """Every way to read gives what was written or the one error."""
    rows = np.array([0, 5, 1747, 1748, 2999])
    for name, wanted in ((None, ()), ("embedding", rows), ("id", rows)):
        try:
            found = shard.read(path, name, wanted, record)
        except DamagedShardError:
            continue
        for key, array in found.items():
            expected = BIG[key] if name is None else BIG[key][wanted]
            np.testing.assert_array_equal(array, expected)


def test_rows_come_from_checked_blocks(tmp_path: Path) -> None:
    record = listed(tmp_path / "a.h5", BIG)
    assert {name: len(sums) // 8 for name, sums in record["sums"].items()} == {
        "embedding": 2,
        "id": 1,
    }
    read_or_refused(tmp_path / "a.h5", record)
    some = shard.read(tmp_path / "a.h5", "embedding", [1, 2999], record)["embedding"]
    np.testing.assert_array_equal(some, BIG["embedding"][[1, 2999]])


@pytest.mark.parametrize("old", [False, True])
def test_arrays_are_read_to_where_they_belong(tmp_path: Path, old: bool) -> None:
    record = listed(tmp_path / "a.h5", BIG)
    record = {"sha256": record["sha256"]} if old else record
    room = np.zeros((4000, 300), np.float32)
    into = {"embedding": lambda shape, _: room[500 : 500 + shape[0]]}
    found = shard.read(tmp_path / "a.h5", record=record, into=into)
    assert np.shares_memory(found["embedding"], room)
    np.testing.assert_array_equal(room[500:3500], BIG["embedding"])
    assert not room[:500].any()
    assert not room[3500:].any()
    np.testing.assert_array_equal(found["id"], BIG["id"])


@pytest.mark.parametrize("value", [0, 255])
def test_a_wiped_chunk_is_never_read_as_numbers(tmp_path: Path, value: int) -> None:
    """Fletcher-32 alone gives out chunks of zeros."""
    path = tmp_path / "a.h5"
    record = listed(path, BIG)
    with h5py.File(path) as file:
        chunks = [file["embedding"].id.get_chunk_info(i) for i in range(2)]
    content = path.read_bytes()
    for chunk in chunks:
        wiped = bytearray(content)
        wiped[chunk.byte_offset : chunk.byte_offset + chunk.size] = bytes([value]) * chunk.size
        path.write_bytes(wiped)
        with pytest.raises(DamagedShardError):
            shard.read(path, record=record)
        with pytest.raises(DamagedShardError):
            shard.read(path, "embedding", [chunk.chunk_offset[0] + 1], record)
        old = {"sha256": record["sha256"]}  # as it was listed before there were sums
        with pytest.raises(DamagedShardError, match="SHA-256"):
            shard.read(path, record=old)


def test_words_of_zeros_are_not_words_of_ones(tmp_path: Path) -> None:
    """To Fletcher-32 they are the same."""
    path = tmp_path / "a.h5"
    marks = np.full(500, 77, np.uint16)
    marks[100:200] = 0
    record = listed(path, {"x": marks})
    content = path.read_bytes()
    at = content.find(marks.tobytes()) + 2 * 150
    path.write_bytes(content[:at] + b"\xff\xff" + content[at + 2 :])
    assert shard.read(path)["x"][150] == 0xFFFF
    with pytest.raises(DamagedShardError):
        shard.read(path, record=record)


def test_flipped_bits_anywhere_are_noticed_or_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    record = listed(path, BIG)
    content = path.read_bytes()
    rng = np.random.default_rng(1)
    # Everywhere, and more in the little that is not embeddings.
    places = [*rng.integers(0, len(content), 60), *range(0, 1200, 7)]
    for place in places:
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        read_or_refused(path, record)
        with pytest.raises(DamagedShardError, match="SHA-256"):
            shard.read(path, record={"sha256": record["sha256"]})


def test_a_cut_shard_is_refused_by_its_record(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    record = listed(path, BIG)
    content = path.read_bytes()
    for keep in (0, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:keep])
        read_or_refused(path, record)
        with pytest.raises(DamagedShardError):
            shard.read(path, record={"sha256": record["sha256"]})


def test_another_shard_of_the_same_size_is_refused(tmp_path: Path) -> None:
    path, other = tmp_path / "a.h5", tmp_path / "b.h5"
    record = listed(path, BIG)
    swapped = listed(other, {**BIG, "embedding": BIG["embedding"][::-1].copy()})
    assert record["bytes"] == swapped["bytes"]
    other.replace(path)
    for old in (record, {"sha256": record["sha256"]}):
        with pytest.raises(DamagedShardError):
            shard.read(path, record=old)
    with pytest.raises(DamagedShardError):
        shard.read(path, "embedding", [3], record)


@pytest.mark.parametrize(
    "arrays",
    [
        {"embedding": BIG["embedding"]},
        {**BIG, "more": np.arange(3)},
        {"id": BIG["id"], "x": BIG["id"]},
    ],
)
def test_other_arrays_than_are_listed_are_refused(tmp_path: Path, arrays: Any) -> None:
    record = listed(tmp_path / "a.h5", BIG)
    listed(tmp_path / "a.h5", arrays)
    with pytest.raises(DamagedShardError):
        shard.read(tmp_path / "a.h5", record=record)


def test_a_whole_file_is_hashed_once_a_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.h5"
    old = {"sha256": listed(path, ARRAYS)["sha256"]}
    hashed: list[Path] = []
    real = files.sha256
    monkeypatch.setattr(files, "sha256", lambda p: hashed.append(p) or real(p))
    for _ in range(3):
        shard.read(path, "label", [3], old)
    assert hashed == [path]
    os.utime(path, ns=(1, 1))
    shard.read(path, record=old)
    assert len(hashed) == 2


def test_a_survey_is_of_checked_arrays(tmp_path: Path) -> None:
    record = listed(tmp_path / "a.h5", BIG)
    found, where = shard.surveyed(tmp_path / "a.h5", record, ["id", "embedding"])
    for name, array in BIG.items():
        np.testing.assert_array_equal(found[name], array, strict=True)
        assert where[name].rows == sums.block_rows(array.shape, array.itemsize)
    other = {**record, "sums": {**record["sums"], "embedding": record["sums"]["embedding"][::-1]}}
    with pytest.raises(DamagedShardError):
        shard.surveyed(tmp_path / "a.h5", other, ["embedding"])


def test_rows_are_found_by_where_they_lie(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    record = listed(path, {**BIG, "none": np.zeros((0, 3))})
    where = shard.surveyed(path, record, [*BIG, "none"])[1]
    rows = [2999, 0, 1748, 0]
    size = record["bytes"]
    found = shard.rows_at(str(path), size, {name: where[name] for name in BIG}, rows)
    for name, array in BIG.items():
        assert b"".join(found[name]) == array[rows].tobytes()
    assert shard.rows_at(str(path), size, where, [])["none"] == []
    assert [where[name].bytes for name in BIG] == [len(part[0]) for part in found.values()]
    assert shard.Place(*where["id"].told) == where["id"]


def test_rows_beyond_the_end_of_a_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    where = shard.surveyed(path, listed(path, BIG), ["embedding"])[1]
    size = where["embedding"].offsets[1]
    path.write_bytes(path.read_bytes()[:size])
    assert len(shard.rows_at(str(path), size, where, [0])["embedding"]) == 1
    with pytest.raises(DamagedShardError, match="it ends too early"):
        shard.rows_at(str(path), size, where, [2999])
    with pytest.raises(DamagedShardError, match=f"{size} bytes where the manifest lists 1"):
        shard.rows_at(str(path), 1, where, [0])
    path.unlink()
    with pytest.raises(MissingShardError):
        shard.rows_at(str(path), size, where, [0])
    path.mkdir()
    with pytest.raises(CacheError, match="cannot be read now"):
        shard.rows_at(str(path), size, where, [0])
