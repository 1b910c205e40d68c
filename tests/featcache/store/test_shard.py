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


def test_text_is_utf8_of_the_longest() -> None:
    found = shard.strings(["a", "äö"])
    assert found.dtype == np.dtype("S4")
    assert found.tolist() == [b"a", "äö".encode()]
    assert shard.strings([]).shape == (0,)
    assert shard.strings([]).dtype == np.dtype("S1")
    assert shard.texts(shard.strings(())) == ()
    assert shard.texts(found) == ("a", "äö")
