"""Known bytes are taken over, from whatever entry has them, unless that one is damaged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from featcache import FeatureCache, encode_dataset
from featcache.backbones.backbone import Backbone
from featcache.encoding import plan
from featcache.encoding.plan import NO_VIEWS
from featcache.encoding.taking import Donor, Known, Place, known, take
from tests.featcache.encoding.folder import folder, read
from tests.featcache.encoding.noise import VIEWS, files
from tests.featcache.encoding.test_identity import all_equal


@pytest.fixture
def cache(tmp_path: Path) -> FeatureCache:
    return FeatureCache(tmp_path / "cache")


def test_another_data_set_of_the_same_pictures_is_not_encoded(
    tmp_path: Path, cache: FeatureCache, tiny: Backbone
) -> None:
    one, other = folder(tmp_path / "one"), folder(tmp_path / "other")
    first = encode_dataset(read(one), tiny, cache, views=VIEWS, extras=["patches"])
    second = encode_dataset(read(other), tiny, cache, views=VIEWS, extras=["patches"])
    assert (second.encoded, second.taken, second.crops) == (0, 26, 0)
    all_equal(first.entry, replace(second.entry))
    rows = np.arange(16)
    for extra in (None, "patches"):
        held = [
            entry.extra(extra, "train", rows) if extra else entry.views("train", rows)
            for entry in (first.entry, second.entry)
        ]
        np.testing.assert_array_equal(*held)


def test_fewer_views_are_taken_from_more_and_more_are_made(
    tmp_path: Path, cache: FeatureCache, tiny: Backbone
) -> None:
    one, other = folder(tmp_path / "one"), folder(tmp_path / "other")
    first = encode_dataset(read(one), tiny, cache, views=VIEWS).entry
    fewer = encode_dataset(read(other), tiny, cache, views=replace(VIEWS, count=2))
    assert fewer.crops == 0
    mine = fewer.entry.views("train", np.arange(16))
    theirs = first.views("train", np.arange(16))
    assert mine is not None
    assert theirs is not None
    np.testing.assert_array_equal(mine, theirs[:2])
    more = encode_dataset(read(other), tiny, cache, views=replace(VIEWS, count=4))
    assert (more.encoded, more.crops) == (0, 64)


@pytest.mark.parametrize(
    "other", [{"precision": "bf16"}, {"activation": "quick_gelu"}, {"fingerprint": "another"}]
)
def test_another_model_gives_nothing(
    tmp_path: Path, cache: FeatureCache, tiny: Backbone, other: dict[str, str]
) -> None:
    root = folder(tmp_path / "one")
    encode_dataset(read(root), tiny, cache)
    assert encode_dataset(read(root), replace(tiny, **other), cache).encoded == 26


@pytest.mark.parametrize("pattern", ["images-train-*", "pictures-train-*"])
@pytest.mark.parametrize("harm", ["flip", "delete", "cut"])
def test_what_is_damaged_gives_nothing(
    tmp_path: Path, cache: FeatureCache, tiny: Backbone, pattern: str, harm: str
) -> None:
    one, other = folder(tmp_path / "one"), folder(tmp_path / "other")
    first = encode_dataset(read(one), tiny, cache).entry
    (path,) = first.folder.glob(pattern)
    content = bytearray(path.read_bytes())
    content[content.find(b"train/bee") if "pictures" in pattern else len(content) // 2] ^= 1
    path.write_bytes(content[:-9] if harm == "cut" else content)
    if harm == "delete":
        path.unlink()
    report = encode_dataset(read(other), tiny, cache)
    assert (report.encoded, report.taken) == (16, 10)
    fresh = encode_dataset(read(other), tiny, FeatureCache(tmp_path / "fresh"))
    all_equal(report.entry, fresh.entry)


def test_bad_pictures_are_never_taken(tmp_path: Path, cache: FeatureCache, tiny: Backbone) -> None:
    root = folder(tmp_path / "one")
    (root / "test" / "ant" / "00.png").write_text("no picture")
    entry = encode_dataset(read(root), tiny, cache).entry
    found = known(replace(entry, folder=tmp_path), {}, cache, (), NO_VIEWS)
    assert len(found.centre) == 25


@pytest.mark.parametrize("views_for", ["few-shot", "all"])
def test_pictures_that_stand_twice_are_the_same_however_a_run_was_cut(
    tmp_path: Path, tiny: Backbone, monkeypatch: pytest.MonkeyPatch, views_for: str
) -> None:
    """What one part of a run has written is no donor of the next: views differ by their ids."""
    monkeypatch.setattr(plan, "SHARD_ROWS", 4)
    root = folder(tmp_path / "one")
    (root / "train/bee/05.png").write_bytes((root / "train/ant/01.png").read_bytes())
    (root / "test/bee/02.png").write_bytes((root / "train/ant/01.png").read_bytes())
    whole, parts = FeatureCache(tmp_path / "whole"), FeatureCache(tmp_path / "parts")
    encode_dataset(read(root), tiny, whole, views=VIEWS, views_for=views_for)
    for i in (2, 1):
        encode_dataset(read(root), tiny, parts, views=VIEWS, views_for=views_for, part=(i, 2))
    assert files(parts) == files(whole)


def test_a_donor_is_checked_once(tmp_path: Path, cache: FeatureCache, tiny: Backbone) -> None:
    entry = encode_dataset(read(folder(tmp_path / "one")), tiny, cache).entry
    other = replace(entry, folder=tmp_path)
    found = known(other, {}, cache, (), NO_VIEWS)
    digest = next(iter(found.centre))
    assert found.of_centre(digest) == found.centre[digest]
    for path in entry.folder.glob("images-*"):
        path.unlink()
    assert found.of_centre(digest) is not None
    assert known(other, {}, cache, (), NO_VIEWS).of_centre(digest) is None
    assert Known().of_centre(digest) is Known().of_views(digest) is None


def test_rows_go_where_they_belong(tmp_path: Path, cache: FeatureCache, tiny: Backbone) -> None:
    entry = encode_dataset(read(folder(tmp_path / "one")), tiny, cache).entry
    shards = {
        split: Donor(entry.folder, {"embedding": (name, record)})
        for split in ("train", "test")
        for name, record in entry.shards("images", split).items()
    }
    out = np.full((5, 32), -1, np.float32)
    places = {
        4: Place(shards["train"], 3),
        0: Place(shards["test"], 5),
        2: Place(shards["train"], 3),
    }
    take({"embedding": out}, places)
    train, test = entry.images("train").embedding, entry.images("test").embedding
    np.testing.assert_array_equal(out[[0, 2, 4]], np.stack([test[5], train[3], train[3]]))
    assert (out[[1, 3]] == -1).all()
