"""When all is there its contents are noted, and view sets that lost shards are told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from featcache import FeatureCache, encode_dataset
from featcache.backbones.backbone import Backbone
from featcache.encoding.finishing import finish
from featcache.store import index, manifest
from tests.featcache.encoding.folder import folder, paint, read
from tests.featcache.encoding.noise import VIEWS


def test_contents_are_noted_once(
    tmp_path: Path, tiny: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, cache = read(folder(tmp_path / "images")), FeatureCache(tmp_path / "cache")
    part = encode_dataset(data, tiny, cache, splits=["val"]).entry
    assert list(part.manifest["dataset"]["contents"]) == ["val"]
    whole = encode_dataset(data, tiny, cache).entry
    contents = whole.manifest["dataset"]["contents"]
    assert list(contents) == ["train", "val", "test"]
    assert contents["val"] == part.manifest["dataset"]["contents"]["val"]
    monkeypatch.setattr(manifest, "replace", lambda *_: pytest.fail("nothing has changed"))
    assert finish(whole, data) == []


def test_views_that_nobody_asked_for_again_go_and_are_told(tmp_path: Path, tiny: Backbone) -> None:
    root, cache = folder(tmp_path / "images"), FeatureCache(tmp_path / "cache")
    encode_dataset(read(root), tiny, cache, views=VIEWS)
    both = encode_dataset(read(root), tiny, cache, views=replace(VIEWS, seed=9)).entry
    names = list(both.manifest["view_sets"]["train"])
    paint(root / "train" / "ant" / "00.png", 700)
    report = encode_dataset(read(root), tiny, cache, views=VIEWS)
    assert report.notes[-2:] == [
        f"{both.key} was brought up to date; its older state is gone.",
        "1 sets of views that were not asked for again went with it; encode with the options that "
        "made them to have them back.",
    ]
    assert list(report.entry.manifest["view_sets"]["train"]) == names[:1]
    assert not list(both.folder.glob(f"*{names[1]}*"))
    assert report.entry.problems() == []


def test_what_was_said_of_a_data_set_is_kept(tmp_path: Path, tiny: Backbone) -> None:
    root, cache = folder(tmp_path / "images"), FeatureCache(tmp_path / "cache")
    paint(root / "test" / "ant" / "00.png", 0)  # as the first of train
    entry = encode_dataset(read(root), tiny, cache).entry
    assert entry.manifest["notes"] == list(read(root).notes)
    assert "1 test pictures are in train too" in entry.manifest["notes"][0]
    paint(root / "test" / "ant" / "00.png", 900)
    assert encode_dataset(read(root), tiny, cache).entry.manifest["notes"] == []


def test_what_a_first_draw_would_wait_for_is_there(
    tmp_path: Path, tiny: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, cache = read(folder(tmp_path / "images")), FeatureCache(tmp_path / "cache")
    monkeypatch.setattr(index, "LARGE", 1)
    part = encode_dataset(data, tiny, cache, splits=["val"]).entry
    assert not list(part.folder.glob("index-*"))
    whole = encode_dataset(data, tiny, cache).entry
    monkeypatch.setattr(index, "_made", lambda *_: pytest.fail("it is made again"))
    assert whole.index("train") is not None
