"""The pipeline: every row in its place, resumable to the same bytes, bad pictures named."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from featcache import FeatureCache, embed, encode_dataset
from featcache.backbones.backbone import Backbone
from featcache.draws import drawable
from featcache.errors import CacheError
from featcache.store import shard
from tests.featcache.encoding import killing
from tests.featcache.encoding.noise import VIEWS, Noise, files, noise, spoil


def test_row_i_is_item_i(tmp_path: Path, tiny: Backbone) -> None:
    data = noise()
    report = encode_dataset(data, tiny, FeatureCache(tmp_path), views=VIEWS, batch_size=16)
    assert report.entry.complete
    for split, items in data.splits.items():
        images = report.entry.images(split)
        assert images.id == tuple(item.id for item in items)
        assert images.label.tolist() == [item.label for item in items]
        alone = embed(tiny, [item.source for item in items])
        np.testing.assert_allclose(images.embedding, alone, rtol=2e-3, atol=2e-3)


def test_a_second_run_encodes_nothing(tmp_path: Path, tiny: Backbone) -> None:
    cache, data = FeatureCache(tmp_path), noise()
    encode_dataset(data, tiny, cache, views=VIEWS)
    before = files(cache)
    report = encode_dataset(data, tiny, cache, views=VIEWS)
    assert (report.encoded, report.crops, report.prompts) == (0, 0, 0)
    assert report.skipped == 132
    assert files(cache) == before


@pytest.mark.parametrize(
    "pattern",
    ["images-train-*1.h5", "images-test-*0.h5", "views-train-*2.h5", "text-*", "projection.h5"],
)
@pytest.mark.parametrize("harm", ["delete", "cut", "flip", "wipe"])
def test_damage_alone_is_written_anew(
    tmp_path: Path, tiny: Backbone, pattern: str, harm: str
) -> None:
    cache, data, extras = FeatureCache(tmp_path), noise(), ["pre-projection"]
    encode_dataset(data, tiny, cache, views=VIEWS, extras=extras)
    before = files(cache)
    (path,) = cache.entries()[0].folder.glob(pattern)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes({"cut": content[:-1], "wipe": bytes(len(content))}.get(harm, content))
    if harm == "delete":
        path.unlink()
    written: set[str] = set()
    with pytest.MonkeyPatch.context() as patch:
        write = shard.write
        patch.setattr(shard, "write", lambda p, a: written.add(p.name) or write(p, a))
        report = encode_dataset(data, tiny, cache, views=VIEWS, extras=extras)
    beside = {f"pictures-{path.name[7:]}"} if pattern.startswith("images") else set()
    assert written == {path.name} | beside
    assert len(report.damaged) == 1
    assert str(path) in report.damaged[0]
    assert files(cache) == before
    assert encode_dataset(data, tiny, cache, views=VIEWS, extras=extras).damaged == []


def test_parts_together_are_the_whole(tmp_path: Path, tiny: Backbone) -> None:
    data = noise()
    whole, parts = FeatureCache(tmp_path / "whole"), FeatureCache(tmp_path / "parts")
    encode_dataset(data, tiny, whole, views=VIEWS, batch_size=8)
    for i in (3, 1, 2):
        report = encode_dataset(data, tiny, parts, views=VIEWS, batch_size=8, part=(i, 3))
        assert report.entry.complete == (i == 2)
    assert files(parts) == files(whole)


def test_workers_and_order_of_requests_do_not_matter(tmp_path: Path, tiny: Backbone) -> None:
    """Views added to a cache that had none equal those encoded in one go."""
    data = noise()
    once, later = FeatureCache(tmp_path / "once"), FeatureCache(tmp_path / "later")
    encode_dataset(data, tiny, once, views=VIEWS, workers=1)
    encode_dataset(data, tiny, later, splits=["test"])
    encode_dataset(data, tiny, later, workers=3)
    report = encode_dataset(data, tiny, later, views=VIEWS, workers=3)
    assert report.encoded == 0
    assert report.crops == 3 * len(drawable([i.label for i in data.splits["train"]]))
    assert files(later) == files(once)


def test_views_stand_for_drawable_pictures_only(tmp_path: Path, tiny: Backbone) -> None:
    data = noise(train=300)
    rows = drawable([item.label for item in data.splits["train"]])
    assert len(rows) < 300
    cache = FeatureCache(tmp_path)
    entry = encode_dataset(data, tiny, cache, views=VIEWS).entry
    wanted = np.array(random.Random(0).sample(rows, 20))
    views = entry.views("train", wanted)
    assert views is not None
    assert views.shape == (3, 20, 32)
    missing = next(row for row in range(300) if row not in rows)
    with pytest.raises(CacheError, match="views-for all"):
        entry.views("train", np.array([rows[0], missing]))
    full = encode_dataset(data, tiny, cache, views=VIEWS, views_for="all").entry
    again = full.views("train", np.array([*wanted, missing]))
    assert again is not None
    np.testing.assert_allclose(again[:, :20], views, atol=2e-3)


def test_fewer_views_are_already_there(tmp_path: Path, tiny: Backbone) -> None:
    cache = FeatureCache(tmp_path)
    encode_dataset(noise(), tiny, cache, views=VIEWS)
    assert encode_dataset(noise(), tiny, cache, views=replace(VIEWS, count=2)).crops == 0
    assert encode_dataset(noise(), tiny, cache, views=replace(VIEWS, seed=6)).crops > 0


def test_a_set_begun_with_more_views_is_finished_with_more(tmp_path: Path, tiny: Backbone) -> None:
    cache, whole = FeatureCache(tmp_path / "a"), FeatureCache(tmp_path / "b")
    encode_dataset(noise(), tiny, cache, views=VIEWS, part=(1, 2))
    encode_dataset(noise(), tiny, cache, views=replace(VIEWS, count=2))
    encode_dataset(noise(), tiny, whole, views=VIEWS)
    assert files(cache) == files(whole)


def test_a_set_without_training_pictures_has_no_views(tmp_path: Path, tiny: Backbone) -> None:
    data = noise()
    data = replace(data, splits={"test": data.splits["test"]})
    report = encode_dataset(data, tiny, FeatureCache(tmp_path), views=VIEWS)
    assert report.crops == 21
    assert report.entry.complete


def test_a_bad_picture_keeps_its_row(tmp_path: Path, tiny: Backbone) -> None:
    data, path = spoil(noise(), tmp_path)
    cache = FeatureCache(tmp_path / "cache")
    report = encode_dataset(data, tiny, cache, views=VIEWS)
    assert [i for i, _ in report.bad] == ["train/40"]
    images = report.entry.images("train")
    assert len(images.embedding) == 90
    assert np.flatnonzero(~images.valid).tolist() == [40]
    assert not images.embedding[40].any()
    assert images.reason[40]
    # Named again by the next run, and mended once the file is.
    assert encode_dataset(data, tiny, cache, views=VIEWS).bad == report.bad
    from PIL import Image

    Image.fromarray(Noise(40).pixels()).save(path.with_suffix(".png"))
    path.with_suffix(".png").rename(path)
    mended = encode_dataset(data, tiny, cache, views=VIEWS)
    assert (mended.encoded, mended.taken, mended.skipped) == (1, 31, 100)
    assert mended.bad == []
    clean = encode_dataset(noise(), tiny, FeatureCache(tmp_path / "clean"), views=VIEWS)
    np.testing.assert_array_equal(
        mended.entry.images("train").embedding, clean.entry.images("train").embedding
    )


def test_a_missing_file_is_a_bad_picture(tmp_path: Path, tiny: Backbone) -> None:
    data, path = spoil(noise(), tmp_path)
    path.unlink()
    report = encode_dataset(data, tiny, FeatureCache(tmp_path / "cache"))
    assert [i for i, _ in report.bad] == ["train/40"]


def test_other_weights_are_another_entry(tmp_path: Path, tiny: Backbone) -> None:
    cache = FeatureCache(tmp_path)
    encode_dataset(noise(), tiny, cache)
    encode_dataset(noise(), replace(tiny, fingerprint="other"), cache)
    assert len(cache.entries()) == 2


@pytest.mark.slow
def test_killed_at_any_moment_ends_with_the_same_bytes(tmp_path: Path, tiny_folder: Path) -> None:
    killing.check(tmp_path, tiny_folder, "batch_size=8", times=6, longest=1.0, seed=1)
