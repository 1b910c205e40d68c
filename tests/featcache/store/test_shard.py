"""Shards: what is written is read, equal content is equal bytes, and no failure leaves a shard."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from featcache.errors import CacheError, DamagedShardError
from featcache.store import files, shard

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
    shard.write(path, {"x": array})
    back = shard.read(path)["x"]
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
    with pytest.raises(CacheError, match="encode again"):
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
