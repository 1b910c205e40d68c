"""A shard takes its place whole and as it is listed, or not at all."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest

from featcache.errors import CacheError, DamagedShardError
from featcache.store.placing import holds, place

CONTENT = b"abc" * 1000
RECORD = {"bytes": len(CONTENT), "sha256": hashlib.sha256(CONTENT).hexdigest()}


def test_what_is_listed_is_placed(tmp_path: Path) -> None:
    place(io.BytesIO(CONTENT), tmp_path / "new" / "x.h5", RECORD, "no")
    assert (tmp_path / "new" / "x.h5").read_bytes() == CONTENT
    assert holds(tmp_path / "new" / "x.h5", RECORD)


@pytest.mark.parametrize("wrong", [b"", CONTENT[:-1], CONTENT + b"d", CONTENT[:-1] + b"x"])
def test_anything_else_leaves_what_was_there(tmp_path: Path, wrong: bytes) -> None:
    path = tmp_path / "x.h5"
    with pytest.raises(DamagedShardError, match="it is another"):
        place(io.BytesIO(wrong), path, RECORD, "it is another")
    assert not list(tmp_path.iterdir())
    path.write_bytes(b"before")
    with pytest.raises(DamagedShardError):
        place(io.BytesIO(wrong), path, RECORD, "no")
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"before"]
    assert not holds(path, RECORD)


def test_a_disk_that_refuses_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheError, match="cannot write"):
        place(io.BytesIO(CONTENT), tmp_path / "file" / "x.h5", RECORD, "no")
