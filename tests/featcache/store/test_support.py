"""Support sets: read as they were, missed where they are gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from featcache import Entry, FeatureCache, import_features
from featcache.errors import CacheError, MissingShardError
from featcache.store import support
from featcache.store.entry import reload
from featcache.store.merging import merge
from featcache.store.repair import take_off
from tests.entries import NARROW, make_entry
from tests.featcache.interchange import layouts


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    held = layouts.cross_modal(tmp_path / "theirs")
    return import_features([held.folder], "pets", NARROW, FeatureCache(tmp_path / "cache"))


def test_sets_are_listed_by_shots_and_seed(entry: Entry, tmp_path: Path) -> None:
    assert entry.supports == ((2, 1), (2, 2))
    assert make_entry(tmp_path / "other").supports == ()


def test_a_set_that_is_not_there_is_an_error_that_says_which_are(entry: Entry) -> None:
    with pytest.raises(CacheError, match=r"it holds 2 shots with seed 1, 2 shots with seed 2\."):
        entry.support(4, 1)
    with pytest.raises(CacheError, match="has no support of 4 shots"):
        entry.support(4, 1, "val")


def test_what_was_not_drawn_to_validate_is_none(tmp_path: Path) -> None:
    held = layouts.proker(tmp_path / "theirs")
    names, cache = layouts.classes(tmp_path), FeatureCache(tmp_path / "cache")
    entry = import_features([held.folder], "pets", NARROW, cache, classes=names)
    assert entry.support(2, 4, "val") is None


def test_a_lost_set_makes_the_entry_incomplete(entry: Entry) -> None:
    name = "support-k2-s1-val-00000.h5"
    (entry.folder / name).unlink()
    with pytest.raises(MissingShardError):
        entry.support(2, 1, "val")
    assert list(take_off(entry)) == [name]
    left = reload(entry)
    assert support.lacking(left.manifest) == ["k2-s1-val"]
    assert not left.complete
    assert left.lacking() == [
        "the support k2-s1-val is not all there; run the same `featcache import` again."
    ]


def test_the_same_import_makes_it_whole_again(entry: Entry, tmp_path: Path) -> None:
    name = "support-k2-s1-00000.h5"
    before = (entry.folder / name).read_bytes()
    (entry.folder / name).unlink()
    take_off(entry)
    again = import_features([tmp_path / "theirs"], "pets", NARROW, FeatureCache(tmp_path / "cache"))
    assert again.key == entry.key
    assert again.complete
    assert (again.folder / name).read_bytes() == before


def test_parts_of_several_machines_become_one(entry: Entry, tmp_path: Path) -> None:
    merged = merge(entry, FeatureCache(tmp_path / "other"))
    assert merged.problems == []
    assert merged.entry.complete
    assert merged.entry.supports == entry.supports
    ours, theirs = merged.entry.support(2, 2), entry.support(2, 2)
    assert ours is not None
    assert theirs is not None
    assert (ours.embedding == theirs.embedding).all()
