"""Shards are listed when all of them are on disk, and the bytes follow from the content."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featcache.errors import CacheError
from featcache.store import shard, writing
from featcache.store.entry import reload
from featcache.store.writing import Listing, NewShard, image_arrays, put, put_text, text_name
from tests.featcache.store.made import half, made


def test_records_say_what_was_given_then_size_and_hash(tmp_path: Path) -> None:
    entry = made(tmp_path)
    record = entry.manifest["shards"]["views-train-new-00000.h5"]
    assert list(record) == ["kind", "split", "start", "stop", "set", "bytes", "sha256", "sums"]
    assert record["bytes"] == (entry.folder / "views-train-new-00000.h5").stat().st_size
    text = entry.manifest["shards"][entry.manifest["texts"]["seven"]]
    assert list(text) == ["kind", "bank", "bytes", "sha256", "sums"]
    assert (text["kind"], text["bank"]) == ("text", "seven")
    projection = entry.manifest["shards"]["projection.h5"]
    assert list(projection) == ["kind", "bytes", "sha256", "sums"]
    assert projection["kind"] == "projection"
    assert set(shard.read(entry.folder / "projection.h5")) == {"bias", "weight"}
    assert list(entry.manifest["shards"]) == sorted(entry.manifest["shards"])


def test_the_same_content_is_the_same_bytes(tmp_path: Path) -> None:
    one, other = made(tmp_path / "one"), made(tmp_path / "other")
    assert json.dumps(one.manifest) == json.dumps(other.manifest)


def test_none_is_listed_unless_all_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = made(tmp_path)
    write = shard.write

    def full(path: Path, arrays: Any) -> Any:
        if path.name == "b.h5":
            raise CacheError("full")
        return write(path, arrays)

    monkeypatch.setattr(shard, "write", full)
    new = [NewShard(name, {"kind": "x"}, {"x": half([1])}) for name in ("a.h5", "b.h5")]
    with pytest.raises(CacheError, match="full"):
        put(entry, new)
    assert (entry.folder / "a.h5").exists()
    assert reload(entry).manifest == entry.manifest
    put(entry, new[:1])
    assert set(reload(entry).manifest["shards"]) - set(entry.manifest["shards"]) == {"a.h5"}


def test_shards_are_listed_together_where_listing_takes_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most a tenth of the time goes into it; in the end all are listed."""
    entry, now, took = made(tmp_path), [100.0], [0.0]
    listed = writing._list

    def slowly(*args: Any) -> None:
        listed(*args)
        now[0] += took[0]

    monkeypatch.setattr(writing, "_list", slowly)
    monkeypatch.setattr(writing.time, "monotonic", lambda: now[0])
    listing, before = Listing(entry), len(entry.manifest["shards"])

    def put_at(seconds: float, name: str) -> int:
        now[0] = seconds
        listing.put([NewShard(name, {"kind": "x", "start": ord(name[0])}, {"x": half([1])})])
        return len(reload(entry).manifest["shards"]) - before

    assert put_at(200, "a.h5") == 1
    assert put_at(200, "b.h5") == 2  # as long as it takes no time
    took[0] = 2.0
    assert put_at(300, "c.h5") == 3  # until 302: for 18 seconds none is listed
    assert put_at(303, "d.h5") == 3
    assert put_at(319, "e.h5") == 3
    assert put_at(320, "f.h5") == 6
    assert put_at(323, "g.h5") == 6
    listing.finish()
    listing.finish()
    assert len(reload(entry).manifest["shards"]) - before == 7


def test_what_could_not_be_listed_is_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock that could not be let go would be waited for without end; the rows are made again."""
    entry = made(tmp_path)
    listing = Listing(entry)
    with monkeypatch.context() as full:
        full.setattr(writing, "_list", lambda *args: (_ for _ in ()).throw(CacheError("full")))
        with pytest.raises(CacheError, match="full"):
            listing.put([NewShard("a.h5", {"kind": "x"}, {"x": half([1])})])
    listing.finish()
    assert reload(entry).manifest == entry.manifest


def test_what_another_put_in_its_place_meanwhile_stays_as_that_listed_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = made(tmp_path)
    mine, theirs = Listing(entry), Listing(entry)
    mine._due = math.inf
    for listing, value in ((mine, 1), (theirs, 2)):
        listing.put([NewShard("a.h5", {"kind": "x"}, {"x": half([value])})])
    mine.put([NewShard("b.h5", {"kind": "y"}, {"x": half([3])})])
    mine.finish()
    held = reload(entry)
    assert {"a.h5", "b.h5"} <= held.manifest["shards"].keys()
    for name, value in (("a.h5", 2), ("b.h5", 3)):
        record = held.manifest["shards"][name]
        assert shard.read(entry.folder / name, record=record)["x"].tolist() == [value]


def test_a_bank_is_half_floats_class_by_class(tmp_path: Path) -> None:
    entry = made(tmp_path)
    put_text(entry, "mine", np.array([[1, 2], [3, 4], [5, 6]]), [["a", "b"], ["c"]])
    listed = reload(entry).manifest
    assert list(listed["texts"])[-1] == "mine"
    held = shard.read(entry.folder / listed["texts"]["mine"])
    assert held["embedding"].dtype == np.float16
    assert held["class"].tolist() == [0, 0, 1]
    assert held["class"].dtype == np.int64
    assert held["prompt"].tolist() == [b"a", b"b", b"c"]


def test_the_name_of_a_bank_follows_its_prompts() -> None:
    assert text_name("mine", [["a"], ["b"]]) == text_name("mine", (("a",), ("b",)))
    assert text_name("mine", [["a"], ["b"]]) == "text-mine-969261ea.h5"
    assert len({text_name("mine", p) for p in ([["a", "b"]], [["a"], ["b"]], [["b"], ["a"]])}) == 3


def test_arrays_of_images_stand_in_the_order_of_the_format() -> None:
    arrays = image_arrays(half([[1]]), [3], ["ä"], np.array([True]), [""])
    assert list(arrays) == ["embedding", "id", "label", "reason", "valid"]
    assert arrays["label"].dtype == np.int64
    assert arrays["id"].tolist() == ["ä".encode()]
