"""What exists: one writer at a time, and a damaged manifest is one sentence."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock, Timeout

from featcache.errors import CacheError, DamagedShardError
from featcache.store import manifest

BEGUN = {"format": 1, "name": "ä", "shards": {}}


def test_a_new_manifest_carries_its_header() -> None:
    begun = manifest.begin({"dataset": {"name": "x"}, "asked": ["train"]})
    assert begun == {
        "format": 1,
        "asked": ["train"],
        "shards": {},
        "view_sets": {},
        "texts": {},
        "dataset": {"name": "x"},
    }
    assert list(begun) == ["format", "asked", "shards", "view_sets", "texts", "dataset"]


def test_what_is_amended_is_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    with manifest.amend(folder, BEGUN) as listed:
        listed["shards"] = {"b.h5": {"bytes": 2}, "a.h5": {"bytes": 1}}
    text = (folder / "manifest.json").read_text(encoding="utf-8")
    assert text == (
        '{\n "format": 1,\n "name": "ä",\n "shards": {\n  "a.h5": {\n   "bytes": 1\n  },\n'
        '  "b.h5": {\n   "bytes": 2\n  }\n }\n}\n'
    )
    assert manifest.load(folder) == json.loads(text)
    assert BEGUN == {"format": 1, "name": "ä", "shards": {}}
    assert {p.name for p in folder.iterdir()} - {".lock"} == {"manifest.json"}


def test_the_newest_manifest_is_amended_and_not_the_one_in_hand(tmp_path: Path) -> None:
    with manifest.amend(tmp_path, BEGUN) as listed:
        listed["shards"]["a"] = {}
    with manifest.amend(tmp_path, BEGUN) as listed:
        listed["shards"]["b"] = {}
    assert list(manifest.load(tmp_path)["shards"]) == ["a", "b"]


def test_an_error_in_the_block_changes_nothing(tmp_path: Path) -> None:
    with manifest.amend(tmp_path, BEGUN) as listed:
        listed["name"] = "old"
    before = (tmp_path / "manifest.json").read_bytes()
    with pytest.raises(KeyError), manifest.amend(tmp_path, BEGUN) as listed:
        listed["name"] = listed.pop("nothing")
    assert (tmp_path / "manifest.json").read_bytes() == before


def test_there_is_one_writer_at_a_time(tmp_path: Path) -> None:
    with manifest.amend(tmp_path, BEGUN), pytest.raises(Timeout):
        FileLock(tmp_path / ".lock", timeout=0).acquire()
    with FileLock(tmp_path / ".lock", timeout=0):
        pass


def test_what_is_not_there_yet_is_copied(tmp_path: Path) -> None:
    other: dict[str, Any] = {"format": 1, "rows": (1, 2), "shards": {"a": {}}}
    found = manifest.load_or(tmp_path, other)
    assert found == {"format": 1, "rows": [1, 2], "shards": {"a": {}}}
    found["shards"]["b"] = {}
    assert list(other["shards"]) == ["a"]
    (tmp_path / "manifest.json").write_text('{"format": 1, "mine": true}')
    assert manifest.load_or(tmp_path, other) == {"format": 1, "mine": True}


@pytest.mark.parametrize("content", ["", "{", "\udcff"])
def test_a_damaged_manifest_is_one_sentence(tmp_path: Path, content: str) -> None:
    path = tmp_path / "manifest.json"
    path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(DamagedShardError) as error:
        manifest.load(tmp_path)
    reason = str(error.value).removeprefix(f"{path} cannot be read (")
    assert reason.endswith("); delete its folder and encode again.")
    assert reason.startswith(("Expecting", "'utf-8' codec can't decode"))


def test_a_missing_manifest_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DamagedShardError, match=r"manifest\.json cannot be read"):
        manifest.load(tmp_path)


@pytest.mark.parametrize("number", ["0", "2", "99", "null"])
def test_another_format_is_refused(tmp_path: Path, number: str) -> None:
    (tmp_path / "manifest.json").write_text(f'{{"format": {number}}}')
    with pytest.raises(CacheError) as error:
        manifest.load(tmp_path)
    assert type(error.value) is CacheError
    assert str(error.value) == (
        f"{tmp_path / 'manifest.json'} has format {json.loads(number)}, this version reads 1; "
        "encode again with this version, or use the one that wrote it."
    )


def test_shards_are_listed_by_kind_split_and_view_set() -> None:
    records = {
        "b": {"kind": "images", "split": "train", "start": 2},
        "a": {"kind": "images", "split": "train", "start": 0},
        "c": {"kind": "images", "split": "test"},
        "d": {"kind": "views", "split": "train", "set": "x"},
        "e": {"kind": "views", "split": "train", "set": "y"},
        "f": {"kind": "patches", "split": "train"},
        "g": {"kind": "text"},
    }
    listed = {"shards": records}

    def names(*wanted: str) -> list[str]:
        return list(manifest.listed(listed, *wanted))

    assert manifest.listed(listed, "images", "test") == {"c": records["c"]}
    assert names("images", "train") == ["a", "b"]
    assert names("views", "train") == []
    assert names("views", "train", "x") == ["d"]
    assert names("views", "test", "x") == []
    assert names("images", "train", "x") == []
    assert names("patches", "train") == ["f"]
    assert names("text", "train") == []


def _list_twenty(folder: Path, first: int) -> None:
    for i in range(first, first + 20):
        with manifest.amend(folder, BEGUN) as listed:
            listed["shards"][f"x-{i}"] = {"kind": "none", "bytes": 0}


def test_writers_at_the_same_time_lose_no_line(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_list_twenty, args=(tmp_path, i * 20)) for i in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(manifest.load(tmp_path)["shards"]) == 60
