"""What exists: one writer at a time, and a damaged manifest is one sentence."""

from __future__ import annotations

import errno
import hashlib
import json
import multiprocessing
import os
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock, Timeout
from hypothesis import given
from hypothesis import strategies as st

from featcache.errors import CacheError, DamagedShardError
from featcache.store import manifest

BEGUN: dict[str, Any] = {
    "format": 2,
    "asked": [],
    "shards": {},
    "view_sets": {},
    "texts": {},
    "dataset": {"name": "ä", "classnames": ["a", "ö"], "splits": {"train": 7}},
    "backbone": {"name": "b", "logit_scale": 50.5},
}


def record(**more: Any) -> dict[str, Any]:
    """What is listed of a shard."""
    return {"kind": "none", "bytes": 0, "sha256": "", **more}


def put(folder: Path, content: Any) -> Path:
    path = folder / "manifest.json"
    path.write_text(json.dumps(content))
    return path


def test_a_new_manifest_carries_its_header() -> None:
    begun = manifest.begin({"dataset": {"name": "x"}, "asked": ["train"]})
    assert begun == {
        "format": 2,
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
        listed["shards"] = {"b.h5": record(bytes=2), "a.h5": record(bytes=1)}
    text = (folder / "manifest.json").read_text(encoding="utf-8")
    content = json.loads(text)
    assert text == manifest.laid_out(content)
    lines = [line.strip().rstrip(",") for line in text.splitlines()]
    for name in ("a.h5", "b.h5"):  # a line each
        assert json.dumps({name: content["shards"][name]})[1:-1] in lines
    assert list(content["shards"]) == ["a.h5", "b.h5"]
    assert list(content)[-1] == "checksum"
    digest = content.pop("checksum")
    assert digest == hashlib.sha256(json.dumps(content).encode()).hexdigest()
    assert manifest.load(folder) == content
    assert BEGUN["shards"] == {}
    assert {p.name for p in folder.iterdir()} - {".lock"} == {"manifest.json"}


@given(
    st.dictionaries(
        st.text(max_size=3),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
            max_leaves=6,
        ),
    )
)
def test_however_it_is_laid_out_it_says_the_same(content: dict[str, Any]) -> None:
    assert json.loads(manifest.laid_out(content)) == content


def test_names_that_are_numbers_are_names(tmp_path: Path) -> None:
    with manifest.amend(tmp_path, BEGUN) as listed:
        listed["draws"] = {16: {1: (0, 2)}}
    assert manifest.load(tmp_path)["draws"] == {"16": {"1": [0, 2]}}


def test_the_newest_manifest_is_amended_and_not_the_one_in_hand(tmp_path: Path) -> None:
    with manifest.amend(tmp_path, BEGUN) as listed:
        listed["shards"]["a"] = record()
    with manifest.amend(tmp_path, BEGUN) as listed:
        listed["shards"]["b"] = record()
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
    put(tmp_path, {**BEGUN, "format": 1, "mine": True})
    assert manifest.load_or(tmp_path, other)["mine"] is True


@pytest.mark.parametrize("content", ["", "{", "\udcff", "[" * 100_000, "[]", "7", "null"])
def test_a_damaged_manifest_is_one_sentence(tmp_path: Path, content: str) -> None:
    folder = tmp_path / "set" / "net" / "0123"
    folder.mkdir(parents=True)
    path = folder / "manifest.json"
    path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(DamagedShardError) as error:
        manifest.load(folder)
    reason = str(error.value).removeprefix(f"{path} is damaged (")
    assert reason.endswith(
        "); put a copy of it back, or remove the entry with `featcache rm set/net/0123` "
        "and encode again."
    )
    assert "\n" not in reason
    assert reason.startswith(
        ("Expecting", "'utf-8' codec can't decode", "its top level", "maximum recursion")
    )


def test_a_file_that_the_system_does_not_give_is_not_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "manifest.json"

    def told() -> str:
        with pytest.raises(CacheError) as error:
            manifest.load(tmp_path)
        assert type(error.value) is CacheError
        return str(error.value)

    ending = "see to the disk, the mount or the process that holds it, and run this again."
    assert told() == f"{path} cannot be read now (No such file or directory); {ending}"
    for number in (errno.EIO, errno.EAGAIN, errno.EACCES):

        def refuse(_: Path, number: int = number) -> bytes:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(Path, "read_bytes", refuse)
        assert told() == f"{path} cannot be read now ({os.strerror(number)}); {ending}"


@pytest.mark.parametrize("number", ["0", "3", "99", "null", '"2"', "[2]"])
def test_another_format_is_refused(tmp_path: Path, number: str) -> None:
    path = put(tmp_path, {**BEGUN, "format": json.loads(number)})
    with pytest.raises(CacheError) as error:
        manifest.load(tmp_path)
    assert type(error.value) is CacheError
    assert str(error.value) == (
        f"{path} has format {json.loads(number)}, this version reads 1 and 2; "
        "encode again with this version, or use the one that wrote it."
    )


def test_every_flipped_bit_is_noticed_or_changes_nothing(tmp_path: Path) -> None:
    with manifest.amend(tmp_path, BEGUN) as listed:
        listed["shards"]["a.h5"] = record(bytes=12, sha256="ab")
    path = tmp_path / "manifest.json"
    written, content = manifest.load(tmp_path), path.read_bytes()
    noticed = 0
    for bit in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            found = manifest.load(tmp_path)
        except CacheError:
            noticed += 1
        else:
            assert json.dumps(found) == json.dumps(written), bit
    assert noticed > 4 * len(content)


def test_without_a_checksum_there_is_nothing_to_believe(tmp_path: Path) -> None:
    put(tmp_path, BEGUN)
    with pytest.raises(DamagedShardError, match="its content is not that of its checksum"):
        manifest.load(tmp_path)


def test_format_1_is_read_as_it_is_and_gains_a_checksum(tmp_path: Path) -> None:
    path = put(tmp_path, {**BEGUN, "format": 1})
    assert manifest.load(tmp_path) == {**BEGUN, "format": 1}
    with manifest.amend(tmp_path, {}):
        pass
    assert len(json.loads(path.read_bytes())["checksum"]) == 64
    assert manifest.load(tmp_path) == BEGUN


def test_wrong_types_are_one_sentence_in_format_1_too(tmp_path: Path) -> None:
    put(tmp_path, {**BEGUN, "format": 1, "shards": {"a.h5": record(bytes="12")}})
    with pytest.raises(DamagedShardError, match=r"damaged \(shards\.a\.h5\.bytes is no int\)"):
        manifest.load(tmp_path)


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
            listed["shards"][f"x-{i}"] = record()


def test_writers_at_the_same_time_lose_no_line(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_list_twenty, args=(tmp_path, i * 20)) for i in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(manifest.load(tmp_path)["shards"]) == 60
