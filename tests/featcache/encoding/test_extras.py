"""Features beside the embedding: added to what is there, with the same guarantees."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featcache import FeatureCache, embed_with, encode_dataset, prompt_bank
from featcache.backbones.backbone import Backbone
from featcache.errors import BackboneError, CacheError, UnknownNameError
from featcache.store.entry import Entry
from tests.featcache.encoding import killing
from tests.featcache.encoding.noise import VIEWS, Noise, files, noise, spoil

BOTH = ["pre-projection", "patches"]


def extra(entry: Entry, name: str, split: str, rows: list[int]) -> np.ndarray:
    found = entry.extra(name, split, np.array(rows))
    assert found is not None
    return found


def test_extras_stand_beside_the_same_bytes(tmp_path: Path, tiny: Backbone) -> None:
    plain, rich = FeatureCache(tmp_path / "plain"), FeatureCache(tmp_path / "rich")
    encode_dataset(noise(), tiny, plain, views=VIEWS)
    entry = encode_dataset(noise(), tiny, rich, views=VIEWS, extras=BOTH).entry
    assert entry.key == plain.entries()[0].key
    assert entry.complete
    assert entry.extras == tuple(BOTH)
    assert entry.problems() == []
    old, new = files(plain), files(rich)
    shards = {name for name in old if name.endswith(".h5")}
    assert {name: new[name] for name in shards} == {name: old[name] for name in shards}


@pytest.mark.parametrize("steps", [["pre-projection", "patches"], ["patches", "pre-projection"]])
def test_extras_added_later_are_those_of_one_go(
    tmp_path: Path, tiny: Backbone, steps: list[str]
) -> None:
    once, later = FeatureCache(tmp_path / "once"), FeatureCache(tmp_path / "later")
    encode_dataset(noise(), tiny, once, views=VIEWS, extras=BOTH)
    encode_dataset(noise(), tiny, later, splits=["test"], extras=steps[:1])
    encode_dataset(noise(), tiny, later, views=VIEWS)
    for step in steps:
        before = {name: old for name, old in files(later).items() if name.endswith(".h5")}
        encode_dataset(noise(), tiny, later, views=VIEWS, extras=[step], workers=2)
        assert {name: files(later)[name] for name in before} == before
    assert files(later) == files(once)
    again = encode_dataset(noise(), tiny, later, views=VIEWS, extras=BOTH)
    assert (again.encoded, again.crops) == (0, 0)


def test_parts_together_are_the_whole(tmp_path: Path, tiny: Backbone) -> None:
    whole, parts = FeatureCache(tmp_path / "whole"), FeatureCache(tmp_path / "parts")
    encode_dataset(noise(), tiny, whole, views=VIEWS, extras=BOTH, batch_size=8)
    for i in (2, 1):
        encode_dataset(noise(), tiny, parts, views=VIEWS, extras=BOTH, batch_size=8, part=(i, 2))
    assert files(parts) == files(whole)


def test_the_projection_gives_embeddings_and_views_back(tmp_path: Path, tiny: Backbone) -> None:
    entry = encode_dataset(noise(), tiny, FeatureCache(tmp_path), views=VIEWS, extras=BOTH).entry
    projection = entry.projection()
    assert projection is not None
    rows = [70, 3, 3, 31, 32]
    for split in ("train", "val", "test"):
        some = [row for row in rows if row < entry.splits[split]]
        pre = extra(entry, "pre-projection", split, some)
        rebuilt = pre @ projection.weight + projection.bias
        wanted = entry.images(split).embedding[some]
        np.testing.assert_allclose(rebuilt, wanted, atol=4e-3 * np.abs(wanted).max())
    views, of_views = (
        entry.views("train", np.array(rows), name) for name in (None, "pre-projection")
    )
    assert views is not None
    assert of_views is not None
    assert of_views.shape[:2] == views.shape[:2] == (3, len(rows))
    rebuilt = of_views @ projection.weight + projection.bias
    np.testing.assert_allclose(rebuilt, views, atol=4e-3 * np.abs(views).max())


def test_rows_are_those_asked_for(tmp_path: Path, tiny: Backbone) -> None:
    """A few rows, many rows and all rows are read in different ways and are the same numbers."""
    data = noise()
    entry = encode_dataset(data, tiny, FeatureCache(tmp_path), extras=BOTH, batch_size=16).entry
    alone = embed_with(tiny, [item.source for item in data.splits["train"]], BOTH)
    order = random.Random(0).sample(range(90), 90)
    for name in BOTH:
        every = extra(entry, name, "train", order)
        np.testing.assert_allclose(every, alone[name][order], rtol=2e-3, atol=4e-3)
        np.testing.assert_array_equal(extra(entry, name, "train", order[:7]), every[:7])
    assert extra(entry, "patches", "val", [0]).dtype == np.float16


def test_what_is_not_cached_is_none(tmp_path: Path, tiny: Backbone) -> None:
    cache = FeatureCache(tmp_path)
    encode_dataset(noise(), tiny, cache, views=VIEWS)
    entry = encode_dataset(noise(), tiny, cache, splits=["test"], extras=["patches"]).entry
    rows = np.arange(3)
    assert entry.extra("patches", "test", rows) is not None
    assert entry.extra("patches", "train", rows) is None
    assert entry.extra("pre-projection", "test", rows) is None
    assert entry.views("train", rows, "pre-projection") is None
    assert entry.projection() is None
    with pytest.raises(UnknownNameError, match="patches"):
        entry.extra("patch", "test", rows)


def test_missing_and_harmed_extras_are_problems(tmp_path: Path, tiny: Backbone) -> None:
    cache = FeatureCache(tmp_path)
    entry = encode_dataset(noise(), tiny, cache, extras=["patches"], part=(1, 2)).entry
    assert not entry.complete
    assert any("rows of patches" in problem for problem in entry.problems())
    entry = encode_dataset(noise(), tiny, cache, extras=["patches"]).entry
    assert entry.problems() == []
    path = entry.folder / "patches-val-00000.h5"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert any("patches-val" in problem for problem in entry.problems())


def test_bad_pictures_have_no_extras(tmp_path: Path, tiny: Backbone) -> None:
    data, path = spoil(noise(), tmp_path)
    cache = FeatureCache(tmp_path / "cache")
    encode_dataset(data, tiny, cache, views=VIEWS)
    entry = encode_dataset(data, tiny, cache, views=VIEWS, extras=BOTH).entry
    assert entry.bad == 1
    for name in BOTH:
        assert not extra(entry, name, "train", [40]).any()
        assert extra(entry, name, "train", [41]).any()
    Image.fromarray(Noise(40).pixels()).save(path, "PNG")
    # The embedding still counts as bad, so its extras stay empty until all of it is read again.
    entry = encode_dataset(data, tiny, cache, views=VIEWS, extras=BOTH, retry_bad=True).entry
    assert entry.bad == 0
    for name in BOTH:
        assert extra(entry, name, "train", [40]).any()
    clean = encode_dataset(
        noise(), tiny, FeatureCache(tmp_path / "clean"), views=VIEWS, extras=BOTH
    ).entry
    views = clean.views("train", np.array([40, 41]), "pre-projection")
    assert views is not None
    np.testing.assert_array_equal(entry.views("train", np.array([40, 41]), "pre-projection"), views)


def test_a_picture_lost_since_is_named(tmp_path: Path, tiny: Backbone) -> None:
    data, path = spoil(noise(), tmp_path)
    Image.fromarray(Noise(40).pixels()).save(path, "PNG")
    cache = FeatureCache(tmp_path / "cache")
    encode_dataset(data, tiny, cache)
    path.unlink()
    with pytest.raises(CacheError, match=r"train/40 .* cannot now"):
        encode_dataset(data, tiny, cache, extras=["patches"])


def test_a_model_without_them_is_refused_before_any_work(tmp_path: Path, tiny: Backbone) -> None:
    from tests.featcache.backbones.test_image_tower import TOWERS, backbone

    timm = replace(backbone(tiny, TOWERS["timm"][0]), slug="timm")
    with pytest.raises(BackboneError, match="patch tokens"):
        encode_dataset(noise(), timm, FeatureCache(tmp_path), extras=["patches"])
    assert FeatureCache(tmp_path).entries() == []


def test_negative_prompts_are_a_bank_that_nobody_gets_unasked(
    tmp_path: Path, tiny: Backbone
) -> None:
    cache, data = FeatureCache(tmp_path), noise()
    encode_dataset(data, tiny, cache)
    entry = encode_dataset(data, tiny, cache, bank=prompt_bank("negative", data)).entry
    assert entry.banks == ("dataset",)
    assert entry.negative_banks == ("negative",)
    assert entry.text().bank == "dataset"
    text = entry.text("negative")
    assert text.embedding.shape[0] == 3
    assert all("one" in prompt for prompt in text.prompts[0])
    own = tmp_path / "negative-mine.txt"
    own.write_text("nowhere a {}.")
    entry = encode_dataset(data, tiny, cache, bank=prompt_bank(str(own), data)).entry
    assert entry.negative_banks == ("negative", "negative-mine")
    assert entry.text().bank == "dataset"


@pytest.mark.slow
def test_killed_at_any_moment_ends_with_the_same_bytes(tmp_path: Path, tiny_folder: Path) -> None:
    killing.check(
        tmp_path, tiny_folder, "extras=['pre-projection', 'patches']", times=4, longest=1.5, seed=2
    )
