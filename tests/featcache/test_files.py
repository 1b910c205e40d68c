"""Files that are replaced in one step."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from stat import S_ISDIR
from typing import Any

import pandas
import pytest
from filelock import FileLock, Timeout

from adapters.report.listing import write as listing
from adapters.report.parts import Table
from adapters.report.write import write_figure, write_table
from featcache import files
from featcache.errors import CacheError
from featcache.files import beside, replace
from tests.adapters.rows import row


def test_a_file_is_there_with_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "a.txt"
    replace(path, "é")
    assert path.read_text(encoding="utf-8") == "é"
    replace(path, b"again")
    assert path.read_bytes() == b"again"
    assert [each.name for each in path.parent.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), ValueError()])
def test_what_is_cut_short_leaves_what_was_there(tmp_path: Path, error: Exception) -> None:
    path = tmp_path / "a.json"
    path.write_text("before")
    with pytest.raises((CacheError, ValueError)) as told, beside(path) as draft:  # noqa: PT012
        assert (draft.parent, draft.suffix) == (tmp_path, ".json")  # some writers go by the suffix
        draft.write_text("half")
        raise error
    assert path.read_text() == "before"
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]
    if isinstance(error, OSError):
        assert str(told.value).startswith(f"cannot write {path}: No space left on device; ")


def test_a_folder_that_is_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    with pytest.raises(CacheError, match="cannot write"):
        replace(tmp_path / "a" / "b", "x")


@pytest.mark.parametrize(("number", "folder"), [(errno.EINVAL, True), (errno.EIO, False)])
def test_folders_are_synced_where_the_system_can(
    tmp_path: Path, number: int, folder: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some shared disks cannot sync a folder; that a file cannot be synced is always told."""
    sync = os.fsync

    def refuse(handle: int) -> None:
        if S_ISDIR(os.fstat(handle).st_mode) == folder:
            raise OSError(number, os.strerror(number))
        sync(handle)

    monkeypatch.setattr(os, "fsync", refuse)
    if folder:
        replace(tmp_path / "a", "x")
        assert (tmp_path / "a").read_text() == "x"
    else:
        with pytest.raises(CacheError, match="Input/output error"):
            replace(tmp_path / "a", "x")


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes half of what is written."""
    write = Path.write_bytes

    def half(self: Path, content: bytes) -> int:
        write(self, content[: len(content) // 2])
        raise FULL

    monkeypatch.setattr(Path, "write_bytes", half)


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("what", ["listing", "table", "figure.svg", "figure.png", "figure.pdf"])
def test_a_full_disk_leaves_no_half_written_file(tmp_path: Path, what: str) -> None:
    path = tmp_path / f"a{Path(what).suffix or '.csv'}"
    with pytest.raises(CacheError, match=r"cannot write .*: No space left on device; "):  # noqa: PT012
        if what == "listing":
            listing(pandas.DataFrame([row()]), path)
        elif what == "table":
            write_table(Table("t", "T", ["a"], [["b"]]), tmp_path)
        else:
            write_figure({"mark": "bar", "data": {"values": [{"x": 1}]}}, path)
    assert list(tmp_path.iterdir()) == []


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
        assert draft == tmp_path / "a" / "b" / f".x.json.{os.getpid()}.tmp.json"
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


def test_a_lock_keeps_others_out_and_makes_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "deep" / ".lock"
    with files.locked(path), pytest.raises(Timeout):
        FileLock(path, timeout=0).acquire()
    FileLock(path, timeout=0).acquire()


def test_a_lock_that_cannot_be_had_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    with pytest.raises(CacheError, match="cannot lock"), files.locked(tmp_path / "a" / ".lock"):
        raise AssertionError("it was had")
