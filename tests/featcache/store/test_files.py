"""A file is replaced whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from featcache.errors import CacheError
from featcache.store import files


def test_replace_is_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "manifest.json"
    files.replace(path, b"old")

    def refuse(*_: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(CacheError) as error:
        files.replace(path, b"new")
    assert str(error.value) == (
        f"cannot write {path}: Read-only file system; "
        "nothing was lost that had been written before."
    )
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["manifest.json"]


def test_folders_are_made_and_the_draft_lies_beside(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "x.json"
    with files.beside(path) as draft:
        assert draft == tmp_path / "a" / "b" / f".x.json.{os.getpid()}.tmp"
        draft.write_bytes(b"1")
        assert not path.exists()
    assert path.read_bytes() == b"1"
    assert [p.name for p in path.parent.iterdir()] == ["x.json"]
    files.replace(path, b"2")
    assert path.read_bytes() == b"2"


def _write_half(path: Path, error: Exception) -> None:
    with files.beside(path) as draft:
        draft.write_bytes(b"half")
        raise error


def test_an_error_in_the_block_is_passed_on_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        _write_half(tmp_path / "x", KeyError("mine"))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(CacheError, match=r"cannot write .*x: only text; nothing was lost"):
        _write_half(tmp_path / "x", OSError("only text\nsecond line"))
    assert list(tmp_path.iterdir()) == []


def test_content_is_synced_before_the_name_and_the_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []
    rename, sync = Path.replace, files.sync

    def spied_rename(self: Path, target: Path) -> Path:
        happened.append("rename")
        return rename(self, target)

    def spied_sync(path: Path) -> None:
        happened.append("folder" if path.is_dir() else "file")
        sync(path)

    monkeypatch.setattr(Path, "replace", spied_rename)
    monkeypatch.setattr(files, "sync", spied_sync)
    files.replace(tmp_path / "x", b"1")
    assert happened == ["file", "rename", "folder"]


def test_sync_closes_what_it_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[int] = []
    closed: list[int] = []
    real_open, real_close = os.open, os.close
    monkeypatch.setattr(os, "open", lambda *a: opened.append(real_open(*a)) or opened[-1])
    monkeypatch.setattr(os, "close", lambda h: closed.append(h) or real_close(h))

    def refuse(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="Input"):
        files.sync(tmp_path)
    assert len(opened) == 1
    assert closed == opened


def test_sha256_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert files.sha256(tmp_path / "x") == hashlib.sha256(b"abc").hexdigest()


def test_what_the_system_does_not_give_is_one_sentence(tmp_path: Path) -> None:
    ending = "; see to the disk, the mount or the process that holds it, and run this again."
    told = files.unreadable(tmp_path / "x", OSError(5, "Input/output error"))
    assert told == f"{tmp_path / 'x'} cannot be read now (Input/output error){ending}"
    told = files.unreadable(tmp_path / "x", OSError("first\nsecond"))
    assert told == f"{tmp_path / 'x'} cannot be read now (first){ending}"


def test_the_system_is_told_from_hdf5() -> None:
    assert files.of_the_system(OSError(errno.EIO, "x"))
    assert files.of_the_system(OSError("read failed: errno = 11, error message = 'x'"))
    assert not files.of_the_system(OSError("file signature not found"))
    assert not files.of_the_system(OSError("errno = 0"))
    assert not files.of_the_system(OSError(errno.EINVAL, "bad seek in nonsense"))


def test_sentences_for_files_that_are_not_what_they_were(tmp_path: Path) -> None:
    anew = "run the same `featcache encode` or `import` again, it writes it anew."
    assert files.damaged(tmp_path, "why\nmore") == f"{tmp_path} is damaged (why); {anew}"
    assert files.damaged(tmp_path, "") == f"{tmp_path} is damaged (?); {anew}"
    assert files.missing(tmp_path) == f"{tmp_path} is listed in the manifest but missing; {anew}"
