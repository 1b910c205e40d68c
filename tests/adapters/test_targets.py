"""Other sets to be scored on: found by name or by custom, of the same weights, drawn beside."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.drawing import draw as own_draw
from adapters.reading.features import has
from adapters.targets import check_weights, draw, find, same_weights
from featcache.draws import pool_indices
from featcache.errors import CacheError, ConfigError, EpisodeError
from featcache.store.cache import FeatureCache
from featcache.store.entry import Entry
from tests.adapters.meadows import BIRDS, FISH, TEST, meadow
from tests.enriched import enriched
from tests.entries import make_entry

GENERALIZE, ACROSS = "domain-generalization", "cross-dataset"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("targets")
    meadow(folder)
    meadow(folder, "sketches", BIRDS[::-1], TEST)
    meadow(folder, "few", BIRDS[1:3], TEST)
    meadow(folder, "fish", FISH)
    return folder


@pytest.fixture(scope="module")
def cache(folder: Path) -> FeatureCache:
    return FeatureCache(folder / "cache")


def keys(found: tuple[Entry, ...]) -> list[str]:
    return [entry.dataset for entry in found]


def test_sets_are_found_by_name_in_the_order_given_each_once(cache: FeatureCache) -> None:
    source = cache.find("birds")
    asked = ["few", "Sketches", "birds", "few"]
    assert keys(find(cache, source, GENERALIZE, asked)) == ["few", "sketches"]
    assert find(cache, source, "few-shot") == ()


def test_custom_says_which_where_nobody_does(tmp_path: Path) -> None:
    source = meadow(tmp_path, "shapes")
    cache = FeatureCache(tmp_path / "cache")
    with pytest.raises(CacheError, match=r"shapes-sketch is a usual target of shapes.*or name oth"):
        find(cache, source, GENERALIZE)
    for name in ("shapes-noisy", "shapes-textured", "shapes-sketch", "digits"):
        meadow(tmp_path, name, splits=TEST)
    assert keys(find(cache, source, GENERALIZE)) == [
        "shapes-sketch", "shapes-textured", "shapes-noisy",
    ]  # fmt: skip
    assert keys(find(cache, source, ACROSS)) == ["digits"]


def test_what_cannot_be_found_or_taken_is_refused(cache: FeatureCache, folder: Path) -> None:
    source = cache.find("birds")
    with pytest.raises(ConfigError, match="birds has no usual targets; name some with --on"):
        find(cache, source, ACROSS)
    with pytest.raises(CacheError, match=r"'fisch'.*`featcache encode --dataset fisch --backbone"):
        find(cache, source, ACROSS, ["fisch"])
    says = "takes no --on; take --task cross-dataset or domain-generalization"
    with pytest.raises(ConfigError, match=says):
        find(cache, source, "few-shot", ["fish"])
    with pytest.raises(ConfigError, match=says):
        draw("few-shot", source, 1, 1, on=[cache.find("fish")])
    with pytest.raises(ConfigError, match="has no targets beside birds"):
        draw(ACROSS, source, 1, 1)


def test_two_entries_of_one_name_are_refused(tmp_path: Path) -> None:
    source = meadow(tmp_path)
    meadow(tmp_path, "fish", FISH, TEST)
    meadow(tmp_path, "fish", FISH[1:], TEST)
    cache = FeatureCache(tmp_path / "cache")
    asked = [entry.key for entry in cache.entries() if entry.dataset == "fish"]
    with pytest.raises(ConfigError, match="two entries of fish"):
        find(cache, source, ACROSS, asked)


def test_the_source_comes_first_and_the_others_in_their_order(cache: FeatureCache) -> None:
    source, on = cache.find("birds"), [cache.find("sketches"), cache.find("few")]
    drawn, alone = draw(GENERALIZE, source, 2, 1, on=on), own_draw(source, 2, 1)
    assert [target.name for target in drawn.targets] == ["birds", "sketches", "few"]
    assert drawn.test.ids == alone.test.ids
    assert drawn.episode.support.ids == alone.episode.support.ids
    assert drawn.episode.task == GENERALIZE
    assert [target.columns for target in drawn.targets] == [None, (4, 3, 2, 1, 0), (1, 2)]
    across = draw(ACROSS, source, 2, 1, on=[cache.find("fish")]).targets[1]
    assert across.text is not None
    assert across.text.classnames == FISH


def test_other_weights_are_refused(tmp_path: Path) -> None:
    source = meadow(tmp_path, weights="aaaa")
    other = meadow(tmp_path, "few", BIRDS[:2], TEST, weights="bbbb")
    with pytest.raises(CacheError, match=r"weights bbbb\), and birds/.* of .*weights aaaa\)"):
        draw(GENERALIZE, source, 1, 1, on=[other])
    third = meadow(tmp_path, "odd", BIRDS, TEST, backbone="hf-hub:made/other")
    with pytest.raises(CacheError, match="encode both with the same weights"):
        check_weights(source, third)
    check_weights(source, meadow(tmp_path, "same", BIRDS, TEST, weights="aaaa"))
    check_weights(source, meadow(tmp_path, "brought", BIRDS, TEST))  # whose weights nobody knows


def test_weights_of_before_are_known_by_a_hash_of_them_alone() -> None:
    """Two of now that share weights and differ in configuration or tokeniser are not the same."""
    now, other = ({"fingerprint": f, "weights": "w"} for f in ("aaaa", "bbbb"))
    before, unknown = {"fingerprint": "w"}, {"fingerprint": "unknown"}
    for one, two, same in (
        (now, now, True), (now, before, True), (before, before, True), (now, other, False),
        (now, {"fingerprint": "v"}, False), (before, {"fingerprint": "v"}, False),
        (now, unknown, True), (before, unknown, True), (now, {}, True),
    ):  # fmt: skip
        assert same_weights(one, two) == same_weights(two, one) == same


def test_the_way_of_the_draw_is_that_of_the_source_alone(tmp_path: Path) -> None:
    source, other = meadow(tmp_path), meadow(tmp_path, "few", BIRDS[:2], TEST)
    for shots, way in ((2, {"kind": "natural"}), ("all", {})):
        drawn, alone = (
            draw(GENERALIZE, source, shots, 1, on=[other], **way),
            own_draw(source, shots, 1, **way),
        )
        assert drawn.episode.support.ids == alone.episode.support.ids
        assert len(drawn.targets[1].pictures.labels) == 12


def test_of_a_pool_the_test_pictures_are_those_of_its_own_draw(tmp_path: Path) -> None:
    source = meadow(tmp_path)
    pool = meadow(tmp_path, "pond", FISH, {"pool": 24})
    images = pool.images("pool")
    for seed in (1, 2):
        [_, target] = draw(ACROSS, source, 1, seed, on=[pool]).targets
        rows = pool_indices(images.label, seed)[2]
        assert target.pictures.ids == tuple(images.id[row] for row in rows)


def test_a_set_without_test_pictures_is_no_target(tmp_path: Path) -> None:
    source, other = meadow(tmp_path), meadow(tmp_path, "eggs", BIRDS, {"train": 4, "val": 2})
    with pytest.raises(EpisodeError, match="eggs has no test split to be scored on, it has train"):
        draw(GENERALIZE, source, 1, 1, on=[other])


def test_extra_features_come_along_where_all_sets_have_them(tmp_path: Path) -> None:
    rich = enriched(make_entry(tmp_path / "a"))
    also = enriched(make_entry(tmp_path / "b", name="beasts"))
    poor = make_entry(tmp_path / "c", name="pests")
    extras = ["pre-projection", "patches"]
    assert has(rich, "patches")
    assert not has(poor, "patches")
    both = draw(GENERALIZE, rich, 1, 1, extras=extras, on=[also])
    assert {"pre-projection", "patches"} <= both.episode.holds
    assert both.targets[1].pictures.patches is not None
    without = draw(GENERALIZE, rich, 1, 1, extras=extras, on=[also, poor])
    assert not {"pre-projection", "patches"} & without.episode.holds
    assert all(target.pictures.pre is None for target in without.targets)
