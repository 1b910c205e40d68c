"""Shards: what is written is read, equal content is equal bytes, and no failure leaves a shard."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from contextlib import suppress
from dataclasses import FrozenInstanceError, asdict
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from featcache.errors import CacheError, DamagedShardError, MissingShardError
from featcache.store import files, shard, sums

ARRAYS = {
    "embedding": np.arange(3000, dtype=np.float16).reshape(100, 30),
    "label": np.arange(100),
    "id": shard.strings([f"pictures/ä{i}.jpg" for i in range(100)]),
}


@settings(max_examples=30, deadline=None)
@given(
    array=hnp.arrays(
        st.sampled_from([np.float16, np.int64, np.bool_]),
        hnp.array_shapes(max_dims=3, min_side=0),
    )
)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, array: np.ndarray) -> None:
    path = tmp_path_factory.mktemp("shard") / "a.h5"
    record = asdict(shard.write(path, {"x": array}))
    for listed in (None, record):
        back = shard.read(path, record=listed)["x"]
        assert back.dtype == array.dtype
        assert back.shape == array.shape
        assert back.tobytes() == array.tobytes()


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))))
def test_strings_round_trip(values: list[str]) -> None:
    assert shard.texts(shard.strings(values)) == tuple(values)


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    first, second = (shard.write(tmp_path / name, ARRAYS) for name in ("a.h5", "b.h5"))
    assert first == second


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    shard.write(path, ARRAYS)
    content = bytearray(path.read_bytes())
    place = content.find(ARRAYS["embedding"].tobytes()[:64])
    assert place > 0
    content[place + 7] ^= 4
    path.write_bytes(content)
    with pytest.raises(DamagedShardError, match="damaged"):
        shard.read(path)


@pytest.mark.parametrize("keep", [0, 100, 5000])
def test_a_cut_file_is_noticed(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "a.h5"
    shard.write(path, ARRAYS)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DamagedShardError):
        shard.read(path)


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CacheError, match="encode` or `import` again"):
        shard.read(tmp_path / "a.h5")


@pytest.mark.parametrize("call", range(6))
def test_a_failing_disk_leaves_no_shard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    """Fail at the n-th fsync, rename or verification, for all n: the name never holds half."""
    calls = iter(range(100))

    def failing(real: Any) -> Any:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            if next(calls) == call:
                raise OSError(28, "No space left on device")
            return real(*args, **kwargs)

        return wrapped

    monkeypatch.setattr(os, "fsync", failing(os.fsync))
    monkeypatch.setattr(Path, "replace", failing(Path.replace))
    monkeypatch.setattr(files, "sha256", failing(files.sha256))
    path = tmp_path / "a.h5"
    with suppress(CacheError):
        shard.write(path, ARRAYS)
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] in ([], ["a.h5"])
    if path.exists():
        assert shard.read(path)["embedding"].tobytes() == ARRAYS["embedding"].tobytes()


def test_what_is_written_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.h5"
    content = (written := shard.write(path, ARRAYS)) and path.read_bytes()
    assert written.bytes == len(content) == path.stat().st_size
    assert written.sha256 == hashlib.sha256(content).hexdigest()
    with pytest.raises(FrozenInstanceError):
        written.bytes = 0  # type: ignore[misc]


def test_what_is_made_in_memory_is_what_hdf5_puts_on_a_disk(tmp_path: Path) -> None:
    """So that shards of versions that had it write keep their bytes."""
    shard.write(tmp_path / "a.h5", ARRAYS)
    with h5py.File(tmp_path / "b.h5", "w", libver="latest", track_order=False) as file:
        for name, array in ARRAYS.items():
            shard._put(file, name, array)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_a_block_that_was_never_written_is_damage(tmp_path: Path) -> None:
    """HDF5 takes zeros for it."""
    path, zeros = tmp_path / "a.h5", {"x": np.zeros(8)}
    record = asdict(shard.write(path, zeros))
    with h5py.File(path, "w", libver="latest") as file:
        file.create_dataset("x", (8,), "f8", chunks=(8,), fletcher32=True)
    assert shard.read(path)["x"].tolist() == zeros["x"].tolist()
    with pytest.raises(DamagedShardError, match="lacks a block, near row 0"):
        shard.read(path, record=record)


def test_arrays_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    shard.write(path, ARRAYS)
    assert list(ARRAYS) == ["embedding", "label", "id"]
    assert list(shard.read(path)) == ["embedding", "id", "label"]


def test_one_array_or_some_of_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    shard.write(path, ARRAYS)
    assert list(shard.read(path, "label")) == ["label"]
    np.testing.assert_array_equal(shard.read(path, "label")["label"], np.arange(100))
    some = shard.read(path, "embedding", [3, 7, 99])["embedding"]
    np.testing.assert_array_equal(some, ARRAYS["embedding"][[3, 7, 99]])
    with pytest.raises(DamagedShardError, match="is damaged"):
        shard.read(path, "labels")


@pytest.mark.parametrize(
    ("array", "chunks"),
    [
        (np.zeros((20000, 30), np.float16), (10000, 30)),  # 60 bytes a row, 1 MiB a chunk at most
        (np.zeros((100, 30), np.float16), (100, 30)),
        (np.zeros((3, 2**18), np.float64), (1, 2**18)),  # a row is more than a chunk should be
        (np.zeros(5, np.int64), (5,)),
        (np.zeros((2**20 + 1,), np.int8), (2**19 + 1,)),
    ],
)
def test_chunks_of_one_mebibyte_with_sums(
    tmp_path: Path, array: np.ndarray, chunks: tuple[int, ...]
) -> None:
    shard.write(tmp_path / "a.h5", {"x": array})
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["x"].chunks == chunks
        assert file["x"].fletcher32
        assert file["x"].compression is None


def test_blocks_of_before_were_full_but_the_last_and_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.random.default_rng(0).standard_normal((2048, 768)).astype(np.float16)
    records = {}
    for name in ("after", "before"):
        if name == "before":
            monkeypatch.setattr(shard, "block_rows", sums.most_rows)
            monkeypatch.setattr(sums, "block_rows", sums.most_rows)
        records[name] = asdict(shard.write(tmp_path / name, {"x": x}))
    monkeypatch.undo()
    assert records["before"]["bytes"] > 1.3 * records["after"]["bytes"]
    for name, record in records.items():
        np.testing.assert_array_equal(shard.read(tmp_path / name, record=record)["x"], x)
        some = shard.read(tmp_path / name, "x", [0, 681, 682, 2047], record)["x"]
        np.testing.assert_array_equal(some, x[[0, 681, 682, 2047]])
        assert shard.sums_in(tmp_path / name, {"sha256": record["sha256"]}) == record["sums"]
        other = {"x": record["sums"]["x"][::-1]}
        with pytest.raises(DamagedShardError):
            shard.read(tmp_path / name, record={**record, "sums": other})


def test_blocks_larger_than_are_ever_written_are_nonsense(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=np.zeros(2**18), chunks=(2**18,))
    record = {"sums": {"x": "0" * sums.DIGITS}, "sha256": ""}
    with pytest.raises(DamagedShardError, match="has blocks of 262144 rows"):
        shard.read(tmp_path / "a.h5", record=record)


def test_no_rows_have_no_chunks(tmp_path: Path) -> None:
    shard.write(tmp_path / "a.h5", {"x": np.zeros((0, 4), np.float16)})
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["x"].chunks is None


def test_a_locked_file_is_read(tmp_path: Path) -> None:
    """Nobody writes to a named shard, so locks, which network mounts lack, do not count."""
    path = tmp_path / "a.h5"
    shard.write(path, ARRAYS)
    with path.open("r+b") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert len(shard.read(path)["label"]) == 100


@pytest.mark.parametrize(
    "back",
    [
        {"x": np.arange(4, dtype=np.int32)},
        {"x": np.arange(4, dtype=np.uint64)},  # the same bytes
        {"x": np.arange(1, 5)},
        {"x": np.arange(3)},
    ],
)
def test_what_reads_back_differently_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, back: dict[str, np.ndarray]
) -> None:
    monkeypatch.setattr(shard, "read", lambda path: back)
    with pytest.raises(CacheError) as error:
        shard.write(tmp_path / "a.h5", {"x": np.arange(4)})
    assert str(error.value) == "a.h5: x read back differs from what was written."
    assert list(tmp_path.iterdir()) == []


def test_refusals_name_the_file_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.h5"
    with pytest.raises(CacheError) as error:
        shard.read(path)
    assert type(error.value) is MissingShardError
    assert str(error.value) == (f"{path} is listed in the manifest but missing; {files.ANEW}")

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("x" * 200 + "\nmore")

    monkeypatch.setattr(h5py, "File", fail)
    with pytest.raises(DamagedShardError) as error:
        shard.read(path)
    assert str(error.value) == (f"{path} is damaged ({'x' * 120}); {files.ANEW}")


@pytest.mark.parametrize("code", [errno.EIO, errno.EAGAIN, errno.EACCES])
def test_what_the_system_refuses_is_not_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    for error in (
        OSError(code, os.strerror(code)),
        OSError(f"Can't read data (file read failed: errno = {code}, error message = 'x')"),
    ):

        def fail(*_: Any, error: OSError = error, **__: Any) -> None:
            raise error

        monkeypatch.setattr(h5py, "File", fail)
        with pytest.raises(CacheError) as told:
            shard.read(tmp_path / "a.h5")
        assert type(told.value) is CacheError
        assert str(told.value) == files.unreadable(tmp_path / "a.h5", error)
        assert "delete" not in str(told.value)


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


def test_text_is_utf8_of_the_longest() -> None:
    found = shard.strings(["a", "äö"])
    assert found.dtype == np.dtype("S4")
    assert found.tolist() == [b"a", "äö".encode()]
    assert shard.strings([]).shape == (0,)
    assert shard.strings([]).dtype == np.dtype("S1")
    assert shard.texts(shard.strings(())) == ()
    assert shard.texts(found) == ("a", "äö")


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
