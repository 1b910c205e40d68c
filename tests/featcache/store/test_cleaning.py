"""Only what crashes left goes, and an entry goes whole."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from featcache import FeatureCache
from featcache.errors import CacheError, UnknownNameError
from featcache.store import towers
from featcache.store.cleaning import folder_of, remove, rubbish, size_of
from featcache.store.entry import Entry, reload
from tests.featcache.store.made import made
from tests.featcache.store.test_towers import ABOUT, beside


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    return made(tmp_path)


def dead() -> int:
    """The number of a process that has ended."""
    run = subprocess.Popen([sys.executable, "-c", ""])
    run.wait()
    return run.pid


def put(folder: Path, name: str, at: float = 1) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    os.utime(path, (at, at))
    return path


def test_what_no_manifest_lists_and_drafts_of_the_dead_are_rubbish(
    entry: Entry, tmp_path: Path
) -> None:
    cache = FeatureCache(tmp_path)
    assert rubbish(cache, 0) == []
    left = [
        put(entry.folder, f".images-train-00007.h5.{dead()}.tmp"),
        put(entry.folder, f".manifest.json.{dead()}.tmp"),
        put(entry.folder, "images-train-00009.h5"),
        put(tmp_path / "set" / "net" / "0123456789ab", "images-train-00000.h5"),
    ]
    for folder, name in (
        (entry.folder, f".images-train-00008.h5.{os.getpid()}.tmp"),
        (entry.folder, ".images-train-00008.h5.1.tmp"),
        (entry.folder, "notes.txt"),
        (entry.folder, ".hidden"),
        (tmp_path / "my" / "own" / "folder", "images-train-00000.h5"),
        (tmp_path / "set" / "net" / "0123456789ab", "mine.h5"),
    ):
        put(folder, name)
    assert rubbish(cache, 0) == sorted(left)
    assert reload(entry).problems() == []


def test_a_tower_goes_when_no_entry_is_of_its_backbone(entry: Entry, tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path)
    own = beside(entry).folder
    other = towers.write(tmp_path, {**ABOUT, "fingerprint": "another"}, {}, "").folder
    begun = put(tmp_path / towers.FOLDER / "begun", towers.WEIGHTS)
    draft = put(own, f".{towers.MERGES}.{dead()}.tmp.txt")
    kept = put(own, f".{towers.MERGES}.{os.getpid()}.tmp.txt")
    mine = put(other, "notes.txt")
    wanted = [draft, begun, *(other / n for n in (towers.ABOUT, towers.WEIGHTS, towers.MERGES))]
    assert sorted(rubbish(cache, 0)) == sorted(wanted)
    assert kept.exists()
    assert mine.exists()
    put(entry.folder, "manifest.json")  # then it is not known whose towers there are
    assert sorted(rubbish(cache, 0)) == [draft]


def test_what_is_young_may_yet_be_needed(entry: Entry, tmp_path: Path) -> None:
    path = entry.folder / "images-train-00009.h5"
    path.write_bytes(b"x")
    assert rubbish(FeatureCache(tmp_path), 60) == []
    assert rubbish(FeatureCache(tmp_path), 0) == [path]


def test_without_knowing_what_is_listed_nothing_is_rubbish(entry: Entry, tmp_path: Path) -> None:
    put(entry.folder, "images-train-00009.h5")
    put(entry.folder, "manifest.json")
    assert rubbish(FeatureCache(tmp_path), 0) == []


def test_an_entry_goes_whole_and_others_stay(entry: Entry, tmp_path: Path) -> None:
    other = made(tmp_path / "other")
    assert size_of(entry.folder) >= entry.bytes
    remove(entry.folder)
    assert not (tmp_path / "numbers").exists()
    assert tmp_path.exists()
    assert reload(other).problems() == []


def test_what_is_being_written_is_not_removed(entry: Entry) -> None:
    with FileLock(entry.folder / ".lock"), pytest.raises(CacheError, match="is being written"):
        remove(entry.folder)
    draft = put(entry.folder, f".images-train-00008.h5.{os.getpid()}.tmp")
    with pytest.raises(CacheError, match="is being written"):
        remove(entry.folder)
    assert reload(entry).problems() == []
    draft.unlink()
    remove(entry.folder)


def test_a_disk_that_refuses_is_one_sentence(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(CacheError) as error:
        remove(entry.folder)
    assert str(error.value) == (
        f"cannot remove {entry.folder} (Read-only file system); see to its permissions and run "
        "this again."
    )


def test_a_folder_is_found_by_its_key(entry: Entry, tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path)
    assert folder_of(cache, "numb") == entry.folder
    (entry.folder / "manifest.json").write_text("{")
    assert folder_of(cache, "numbers/net/0123") == entry.folder
    with pytest.raises(CacheError, match="is damaged"):
        folder_of(cache, "numb")
    with pytest.raises(UnknownNameError):
        folder_of(cache, "../..")
