"""Which entries there are, and the one that a user means."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from featcache import FeatureCache
from featcache.errors import CacheError, UnknownNameError
from featcache.store.cache import default_root, same_name
from featcache.store.entry import Entry, open_entry
from featcache.store.sameness import data_id
from featcache.store.writing import amend
from tests.featcache.store.made import HEADER


def stored(
    root: Path, dataset: str, backbone: str = "ViT-B-16-quickgelu:openai", at: int = 0
) -> Entry:
    """An empty entry in the cache, last updated at that second."""
    header = {**HEADER, "dataset": {**HEADER["dataset"], "name": dataset}}
    header["backbone"] = {"name": backbone, "logit_scale": 100}
    entry = open_entry(root / dataset / backbone.replace(":", "_") / "0123", header)
    with amend(entry):
        pass
    os.utime(entry.folder / "manifest.json", (at, at))
    return entry


def test_entries_come_the_one_updated_last_last(tmp_path: Path) -> None:
    for dataset, at in (("b", 5), ("c", 1), ("a", 5)):
        stored(tmp_path, dataset, at=at)
    (tmp_path / "x" / "y").mkdir(parents=True)
    (tmp_path / "x" / "y" / "manifest.json").write_text("one level too high")
    assert [entry.dataset for entry in FeatureCache(tmp_path).entries()] == ["c", "a", "b"]
    assert FeatureCache(str(tmp_path)).find().dataset == "b"


def test_the_newest_of_several_is_found(tmp_path: Path) -> None:
    stored(tmp_path, "pets", at=2)
    newest = stored(tmp_path, "pets", "RN50-quickgelu:openai", at=3)
    stored(tmp_path, "cars", at=4)
    cache = FeatureCache(tmp_path)
    assert cache.find("pets").key == newest.key
    assert cache.find("pets", "ViT-B-16").backbone == "ViT-B-16-quickgelu:openai"
    assert cache.find(backbone="RN50").dataset == "pets"
    assert cache.find(newest.key).key == newest.key


@pytest.mark.parametrize("asked", ["oxford-pets", "Oxford_Pets", "OXFORDPETS"])
def test_data_sets_in_any_spelling(tmp_path: Path, asked: str) -> None:
    stored(tmp_path, "oxford-pets")
    assert FeatureCache(tmp_path).find(asked).dataset == "oxford-pets"
    assert same_name(asked, "oxford-pets")
    assert not same_name(asked, "oxford-pet")


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("ViT-B-16-quickgelu:openai", True),
        ("ViT-B-16-quickgelu_openai", True),  # the folder
        ("ViT-B/16", True),
        ("vit-b-16,openai", True),
        ("ViT-B-16:openai", True),
        ("ViT-B-16:laion2b", False),
        ("ViT-B-1", False),
        ("openai", False),
    ],
)
def test_backbones_in_any_spelling(tmp_path: Path, asked: str, found: bool) -> None:
    stored(tmp_path, "pets")
    if found:
        assert FeatureCache(tmp_path).find("pets", asked).dataset == "pets"
        return
    with pytest.raises(UnknownNameError) as error:
        FeatureCache(tmp_path).find("pets", asked)
    assert str(error.value) == (
        f"unknown cached backbone {asked!r}; known are: ViT-B-16-quickgelu:openai. "
        "See `featcache ls`."
    )


def test_unknown_data_sets_offer_those_there_are(tmp_path: Path) -> None:
    stored(tmp_path, "pets")
    with pytest.raises(UnknownNameError) as error:
        FeatureCache(tmp_path).find("cars")
    assert str(error.value) == (
        "unknown cached data set 'cars'; known are: pets. See `featcache ls`."
    )


def test_a_key_may_be_given_in_part(tmp_path: Path) -> None:
    pets, more = stored(tmp_path, "pets", at=1), stored(tmp_path, "pets-more", at=2)
    cache = FeatureCache(tmp_path)
    assert cache.get(more.key).key == more.key
    assert cache.get("more").key == more.key
    with pytest.raises(CacheError) as error:
        cache.get("pets")
    assert str(error.value) == (
        f"'pets' could be any of {pets.key}, {more.key}; give more of the key."
    )
    with pytest.raises(UnknownNameError) as unknown:
        cache.get("cars")
    assert str(unknown.value) == (
        f"unknown cache key 'cars'; known are: {more.key}, {pets.key}. See `featcache ls`."
    )


def test_a_whole_key_is_never_ambiguous(tmp_path: Path) -> None:
    short = stored(tmp_path, "pets")
    stored(tmp_path, "more-pets")
    assert FeatureCache(tmp_path).get(short.key).key == short.key


def test_an_ambiguous_key_lists_six(tmp_path: Path) -> None:
    for number in range(7):
        stored(tmp_path, f"pets{number}", at=number)
    with pytest.raises(CacheError) as error:
        FeatureCache(tmp_path).get("pets")
    assert "pets5/" in str(error.value)
    assert "pets6/" not in str(error.value)


def test_an_empty_cache_says_how_to_fill_it(tmp_path: Path) -> None:
    with pytest.raises(CacheError) as error:
        FeatureCache(tmp_path).find()
    assert str(error.value) == (
        f"the cache {tmp_path} is empty; fill it with `featcache encode --dataset NAME`."
    )


def test_the_root_is_given_or_of_the_environment_or_of_the_platform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("FEATCACHE_HOME", "~/mine")
    assert FeatureCache().root == default_root() == tmp_path / "mine"
    assert FeatureCache("~/other").root == tmp_path / "other"
    monkeypatch.delenv("FEATCACHE_HOME")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert default_root().name == "featcache"
    assert default_root().is_relative_to(tmp_path)


def of(
    root: Path, contents: str | None, at: int, id: str, backbone: str = "demo", rows: int = 1
) -> Entry:
    """An entry of the set `pets` with that in its pictures, and so many rows of them encoded."""
    data = {**HEADER["dataset"], "name": "pets", "fingerprint": "f"}
    header = {**HEADER, "dataset": data, "backbone": {"name": backbone, "logit_scale": 100}}
    entry = open_entry(root / "pets" / backbone / id, header)
    record = {"kind": "images", "split": "train", "start": 0, "stop": rows}
    with amend(entry) as manifest:
        manifest["dataset"] |= {"contents": {"train": contents}} if contents else {}
        manifest["shards"] = {"a.h5": {**record, "bytes": 1, "sha256": ""}} if rows else {}
    os.utime(entry.folder / "manifest.json", (at, at))
    return Entry(entry.folder, open_entry(entry.folder, header).manifest)


def test_a_name_of_two_data_sets_is_refused_with_their_keys(tmp_path: Path) -> None:
    one, two = of(tmp_path, "aa", 1, "0123"), of(tmp_path, "bb", 2, "4567")
    elsewhere = of(tmp_path, "bb", 3, "89ab", "RN50")
    cache = FeatureCache(tmp_path)
    for asked in ("pets", "PETS", "pets/demo", "pets/"):
        with pytest.raises(CacheError) as error:
            cache.find(asked)
        assert f"{two.key} ({data_id(two)}), {one.key} ({data_id(one)}); give" in str(error.value)
    with pytest.raises(CacheError) as error:
        cache.find("pets", "demo")
    assert str(error.value) == (
        f"'pets' could be any of several data sets, {two.key} ({data_id(two)}), {one.key} "
        f"({data_id(one)}); give one of these keys in its place."
    )
    assert cache.find("pets", "RN50").key == elsewhere.key
    assert cache.find().key == elsewhere.key  # nobody named it
    for way in (one.key, "pets/demo/01", "/0123", data_id(one), f"pets ({data_id(one)})"):
        assert cache.find(way).key == one.key
    for way in ("RN50/8", data_id(two)):  # of two that hold the same the newest
        assert cache.find(way).key == elsewhere.key
    assert cache.find(data_id(two), "demo").key == two.key
    assert cache.get(data_id(one)).key == one.key
    with pytest.raises(UnknownNameError, match="cached data set '0123'"):
        cache.find("0123")


def test_of_one_data_set_in_several_ways_the_newest_is_taken(tmp_path: Path) -> None:
    of(tmp_path, "aa", 1, "0123")
    of(tmp_path, None, 2, "4567", "RN50")  # of before, which does not say what its pictures are
    newest = of(tmp_path, "aa", 3, "89ab")
    assert FeatureCache(tmp_path).find("pets").key == newest.key
    assert FeatureCache(tmp_path).find("pets/demo").key == newest.key


def test_what_holds_nothing_stands_in_nobodys_way(tmp_path: Path) -> None:
    full = of(tmp_path, "aa", 1, "0123")
    empty = of(tmp_path, "bb", 2, "4567", rows=0)
    cache = FeatureCache(tmp_path)
    assert cache.find("pets").key == full.key
    assert cache.find(empty.key).key == empty.key
    of(tmp_path, None, 3, "89ab")  # half of the same listing
    assert cache.find("pets").key == "pets/demo/89ab"


def test_a_name_as_it_is_spelt_goes_before_one_like_it(tmp_path: Path) -> None:
    exact = stored(tmp_path, "my-pets", at=1)
    like = stored(tmp_path, "my_pets", at=2)
    cache = FeatureCache(tmp_path)
    assert (cache.find("my-pets").key, cache.find("my_pets").key) == (exact.key, like.key)
    assert cache.find("MyPets").key == like.key


def test_a_root_that_is_no_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("x")
    with pytest.raises(CacheError, match=r"cannot be read .*--cache or FEATCACHE_HOME\.$"):
        FeatureCache(tmp_path / "cache").entries()
    with pytest.raises(CacheError, match="home of a user who has none"):
        FeatureCache("~nobody-of-that-name/cache")
