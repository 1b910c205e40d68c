"""An entry of before gains digests without being encoded anew, unless a picture may be another."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from featcache import Entry, FeatureCache, encode_dataset
from featcache.backbones.backbone import Backbone
from featcache.store.entry import reload
from featcache.store.originals import KIND
from featcache.store.writing import amend
from tests.featcache.encoding.folder import folder, paint, read
from tests.featcache.encoding.noise import VIEWS, noise
from tests.featcache.encoding.test_identity import all_equal


def age(entry: Entry) -> Entry:
    """The entry as an earlier version left it, long after its pictures were made."""
    with amend(entry) as manifest:
        held = manifest["shards"]
        for name in [name for name, record in held.items() if record["kind"] == KIND]:
            del held[name]
            (entry.folder / name).unlink()
        del manifest["backbone"]["identity"], manifest["dataset"]["contents"]
        manifest["backbone"]["fingerprint"] = manifest["backbone"].pop("weights")
    later = 4e9
    for path in entry.folder.glob("images-*"):
        os.utime(path, (later, later))
    return reload(entry)


@pytest.fixture
def cache(tmp_path: Path) -> FeatureCache:
    return FeatureCache(tmp_path / "cache")


def test_what_is_as_it_was_is_taken_over(
    tmp_path: Path, cache: FeatureCache, tiny: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = folder(tmp_path / "images")
    monkeypatch.setattr("featcache.pictures.digest.YOUNG", -(10**18))
    before = encode_dataset(read(root), tiny, cache, views=VIEWS).entry
    kept = {path.name: path.read_bytes() for path in before.folder.glob("*.h5")}
    aged = age(before)
    report = encode_dataset(read(root), tiny, cache, views=VIEWS)
    assert (report.entry.key, report.encoded, report.taken, report.crops) == (aged.key, 0, 0, 0)
    assert report.notes == [
        f"{aged.key} is of an earlier version, which knew pictures by their names; 26 pictures and "
        "2 prompts encoded anew are as it has them, so it was taken over."
    ]
    assert {path.name: path.read_bytes() for path in before.folder.glob("*.h5")} == kept
    all_equal(report.entry, before)
    assert encode_dataset(read(root), tiny, cache, views=VIEWS).notes == []


def test_a_picture_changed_since_is_encoded(
    tmp_path: Path, cache: FeatureCache, tiny: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many that the change is not among those that are tried."""
    root = folder(tmp_path / "images", rows=40)
    monkeypatch.setattr("featcache.pictures.digest.YOUNG", -(10**18))
    entry = age(encode_dataset(read(root), tiny, cache).entry)
    path = paint(root / "train" / "ant" / "01.png", 3000)
    for shard in entry.folder.glob("images-*"):
        os.utime(shard, ns=(path.stat().st_ctime_ns,) * 2)
    for other in root.rglob("*.png"):
        if other != path:
            assert other.stat().st_ctime_ns < path.stat().st_ctime_ns
    report = encode_dataset(read(root), tiny, cache)
    assert (report.entry.key, report.encoded) == (entry.key, 1)
    fresh = encode_dataset(read(root), tiny, FeatureCache(tmp_path / "fresh"))
    all_equal(report.entry, fresh.entry)


def test_other_pictures_or_another_model_are_not_taken_for_it(
    tmp_path: Path, cache: FeatureCache, tiny: Backbone
) -> None:
    entry = age(encode_dataset(read(folder(tmp_path / "a" / "images")), tiny, cache).entry)
    other = read(folder(tmp_path / "b" / "images", first=500))
    report = encode_dataset(other, tiny, cache)
    assert report.encoded == 26
    assert report.entry.key != entry.key
    assert "it is left as it is" in report.notes[0]
    assert reload(entry).manifest == entry.manifest
    heavier = replace(tiny, weights="other", fingerprint="another")
    assert encode_dataset(other, heavier, cache).notes[:1] != report.notes[:1]


def test_pictures_that_are_drawn_are_taken_over(cache: FeatureCache, tiny: Backbone) -> None:
    entry = age(encode_dataset(noise(), tiny, cache).entry)
    report = encode_dataset(noise(), tiny, cache)
    assert (report.entry.key, report.encoded) == (entry.key, 0)
    np.testing.assert_array_equal(
        report.entry.images("val").embedding, entry.images("val").embedding
    )


def test_damage_of_an_entry_of_before_is_told_and_mended(
    tmp_path: Path, cache: FeatureCache, tiny: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("featcache.pictures.digest.YOUNG", -(10**18))
    data = read(folder(tmp_path / "images"))
    entry = age(encode_dataset(data, tiny, cache).entry)
    (path,) = entry.folder.glob("images-test-*")
    path.unlink()
    report = encode_dataset(data, tiny, cache)
    assert len(report.damaged) == 1
    assert str(path) in report.damaged[0]
    assert report.entry.complete
    assert report.entry.problems() == []
