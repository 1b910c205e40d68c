"""What no longer fits is set aside and stays until the new state is whole, whatever happens."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featcache import Entry, FeatureCache, encode_dataset
from featcache.backbones.backbone import Backbone
from featcache.encoding import batches, encode
from featcache.encoding.identity import find_entry
from featcache.errors import CacheError
from featcache.store.entry import reload
from tests.featcache.encoding.folder import folder, paint, read
from tests.featcache.encoding.noise import VIEWS, noise
from tests.featcache.encoding.test_identity import all_equal


@pytest.fixture
def cache(tmp_path: Path) -> FeatureCache:
    return FeatureCache(tmp_path / "cache")


def names(entry: Entry) -> set[str]:
    return {path.name for path in entry.folder.glob("*.h5")}


def test_units_that_are_as_they_were_are_not_written_again(
    cache: FeatureCache, tiny: Backbone
) -> None:
    """A picture at the end of a long list moves the last unit alone (32 rows a unit here)."""
    data = noise()
    first = encode_dataset(data, tiny, cache)
    grown = replace(data, splits={**data.splits, "train": noise(train=91).splits["train"]})
    report = encode_dataset(grown, tiny, cache)
    assert (report.encoded, report.taken, report.skipped) == (1, 26, 106)
    gone = {"images-train-00002.h5", "pictures-train-00002.h5"}
    made = {"images-train-00002-1.h5", "pictures-train-00002-1.h5"}
    assert names(report.entry) == names(first.entry) - gone | made
    assert first.entry.key == report.entry.key


def test_times_alone_are_noted_and_nothing_encoded(
    tmp_path: Path, cache: FeatureCache, tiny: Backbone
) -> None:
    root = folder(tmp_path / "images")
    before = encode_dataset(read(root), tiny, cache).entry
    for path in root.rglob("*.png"):
        path.touch()
    report = encode_dataset(read(root), tiny, cache)
    assert (report.encoded, report.taken, report.notes) == (0, 0, [])
    assert names(report.entry) == names(before)
    same = {n: r for n, r in before.manifest["shards"].items() if r["kind"] != "pictures"}
    assert same.items() <= report.entry.manifest["shards"].items()


def test_times_that_could_not_be_listed_leave_the_entry_as_it_was(
    tmp_path: Path, cache: FeatureCache, tiny: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Listed shards stay as they are until the manifest lists others, then they are gone."""
    root = folder(tmp_path / "images")
    before = encode_dataset(read(root), tiny, cache).entry
    listed = {*before.manifest["shards"]}
    for path in root.rglob("*.png"):
        path.touch()

    def refuse(entry: Entry) -> None:
        raise CacheError("the disk is full")

    with monkeypatch.context() as full:
        full.setattr("featcache.store.writing.amend", refuse)
        with pytest.raises(CacheError, match="the disk is full"):
            encode_dataset(read(root), tiny, cache)
    assert reload(before).problems() == []
    after = encode_dataset(read(root), tiny, cache).entry
    assert after.problems() == []
    assert names(after) == {*after.manifest["shards"]} != listed


def test_pictures_out_of_reach_keep_their_features(
    tmp_path: Path, cache: FeatureCache, tiny: Backbone
) -> None:
    data = read(folder(tmp_path / "images"))
    before = encode_dataset(data, tiny, cache, views=VIEWS).entry
    shutil.rmtree(tmp_path / "images" / "train" / "bee")
    for path in (tmp_path / "images" / "train" / "ant").iterdir():
        path.touch()
    for _ in range(3):  # and they are not seen when the next looks either
        report = encode_dataset(data, tiny, cache, views=VIEWS)
        assert (report.encoded, report.bad) == (0, [])
        assert report.notes == [
            "8 pictures cannot be read now, the first is train/bee/00.png; their features are kept "
            "as they are."
        ]
        all_equal(report.entry, before)
        assert report.entry.problems() == []


def test_until_the_new_state_is_whole_the_entry_says_so(
    tmp_path: Path, cache: FeatureCache, tiny: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = folder(tmp_path / "images")
    before = encode_dataset(read(root), tiny, cache, views=VIEWS).entry
    paint(root / "train" / "ant" / "00.png", 700)

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(batches.UnitEncoder, "begin", stop)
        with pytest.raises(KeyboardInterrupt):
            encode_dataset(read(root), tiny, cache, views=VIEWS)
    (halfway,) = cache.entries()
    assert not halfway.complete
    with pytest.raises(CacheError, match="holds 0 of 16 rows"):
        halfway.images("train")
    assert names(before) <= names(halfway)  # nothing is lost that may be taken over
    report = encode_dataset(read(root), tiny, cache, views=VIEWS)
    assert (report.encoded, report.taken) == (1, 15)
    fresh = encode_dataset(read(root), tiny, FeatureCache(tmp_path / "fresh"), views=VIEWS)
    all_equal(report.entry, fresh.entry)


def test_the_older_state_stays_until_everything_asked_for_is_there(
    tmp_path: Path, cache: FeatureCache, tiny: Backbone
) -> None:
    root = folder(tmp_path / "images")
    encode_dataset(read(root), tiny, cache, extras=["patches"])
    paint(root / "train" / "ant" / "00.png", 700)
    report = encode_dataset(read(root), tiny, cache, splits=["test"])
    assert report.notes[-1].startswith(f"the older state of {report.entry.key} is kept until")
    assert "older" in report.entry.manifest
    whole = encode_dataset(read(root), tiny, cache, extras=["patches"])
    assert (whole.encoded, whole.taken) == (1, 15)
    assert "older" not in whole.entry.manifest
    assert whole.entry.extra("patches", "train", np.arange(16)) is not None


def test_two_that_bring_an_entry_up_to_date_do_not_list_a_row_twice(
    tmp_path: Path, cache: FeatureCache, tiny: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One has settled and not written yet when the other settles, writes and is done."""
    root = folder(tmp_path / "images")
    encode_dataset(read(root), tiny, cache)
    paint(root / "train" / "ant" / "00.png", 700)
    inner, nested = encode.find_entry, list[Any]()

    def meanwhile(*args: Any) -> Any:
        found = inner(*args)
        if not nested:
            nested.append(1)
            encode_dataset(read(root), tiny, cache)
        return found

    monkeypatch.setattr(encode, "find_entry", meanwhile)
    report = encode_dataset(read(root), tiny, cache)
    assert report.entry.encoded("train") == 16
    assert report.entry.problems() == []
    fresh = encode_dataset(read(root), tiny, FeatureCache(tmp_path / "fresh"))
    all_equal(report.entry, fresh.entry)


def test_a_set_without_a_split_that_it_had_loses_it(
    tmp_path: Path, cache: FeatureCache, tiny: Backbone
) -> None:
    root = folder(tmp_path / "images")
    encode_dataset(read(root), tiny, cache)
    shutil.rmtree(root / "val")
    report = encode_dataset(read(root), tiny, cache)
    assert report.encoded == 0
    assert report.entry.splits == {"train": 16, "test": 6}
    assert report.entry.complete
    assert find_entry(read(root), tiny, cache).entry.key == report.entry.key


def test_an_entry_without_class_ids_gets_them_from_the_next_request(
    cache: FeatureCache, tiny: Backbone
) -> None:
    """They change no row, so that what an earlier version encoded stays what it is."""
    before = encode_dataset(noise(), tiny, cache, splits=["test"]).entry
    assert before.class_ids == ()
    assert "class_ids" not in before.manifest["dataset"]
    ids = ("n1", "n2", "n3")
    report = encode_dataset(replace(noise(), class_ids=ids), tiny, cache, splits=["test"])
    assert (report.encoded, report.entry.key) == (0, before.key)
    assert report.entry.class_ids == ids
    assert find_entry(noise(), tiny, cache).entry.class_ids == ids
