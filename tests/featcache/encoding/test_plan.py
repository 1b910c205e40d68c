"""What is still to be written, in units; names of shards; and whether the disk has room."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from featcache import FeatureCache, ViewRecipe, encode_dataset
from featcache.backbones.backbone import Backbone
from featcache.draws import drawable
from featcache.encoding import plan
from featcache.encoding.identity import find_entry
from featcache.encoding.plan import (
    NO_VIEWS,
    Unit,
    ViewSet,
    announce,
    choose_views,
    shard_name,
    units_of,
)
from featcache.errors import CacheError
from featcache.store.entry import Entry
from tests.featcache.encoding.noise import VIEWS, noise


@pytest.fixture
def entry(tmp_path: Path, tiny: Backbone) -> Entry:
    return find_entry(noise(), tiny, FeatureCache(tmp_path)).entry


@pytest.mark.parametrize(
    ("feature", "view_set", "name"),
    [
        ("embedding", "", "images-train-00007.h5"),
        ("embedding", "ab", "views-train-ab-00007.h5"),
        ("patches", "", "patches-train-00007.h5"),
        ("pre-projection", "ab", "pre-projection-views-train-ab-00007.h5"),
    ],
)
def test_names_on_disk_never_change(feature: str, view_set: str, name: str) -> None:
    assert shard_name(feature, "train", 7, view_set) == name


def test_units_are_the_rows_in_order(entry: Entry) -> None:
    units = units_of(entry, noise(), ["train", "test"], NO_VIEWS)
    assert [(u.split, u.start, u.stop) for u in units] == [
        *(("train", 0, 32), ("train", 32, 64), ("train", 64, 90)),
        ("test", 0, 21),
    ]
    assert {(u.centre, u.views, u.view_rows) for u in units} == {(("embedding",), (), ())}
    assert units[2].rows == range(64, 90)
    assert units[2].place == {"split": "train", "start": 64, "stop": 90}
    assert units[2].crops(3) == 26


def test_views_are_of_drawable_rows_and_patches_have_none(entry: Entry) -> None:
    data = noise(train=300)
    views = ViewSet("ab", VIEWS, "few-shot")
    units = units_of(entry, data, ["train", "val"], views, ["pre-projection", "patches"])
    rows = [row for unit in units for row in unit.view_rows]
    assert rows == drawable([item.label for item in data.splits["train"]])
    assert units[0].centre == ("embedding", "pre-projection", "patches")
    assert units[0].views == ("embedding", "pre-projection")
    assert units[-1].views == ()
    every = units_of(entry, data, ["train"], replace(views, rows="all"))
    assert sum(len(unit.view_rows) for unit in every) == 300


def test_what_is_listed_is_not_written_again(tmp_path: Path, tiny: Backbone) -> None:
    done = encode_dataset(noise(), tiny, FeatureCache(tmp_path), views=VIEWS).entry
    (name,) = done.manifest["view_sets"]["train"]
    units = units_of(done, noise(), ["train"], ViewSet(name, VIEWS, "few-shot"), ["patches"])
    assert {(u.centre, u.views, u.view_rows) for u in units} == {(("patches",), (), ())}
    assert all(unit.follows for unit in units)


@pytest.mark.parametrize(
    ("centre", "views", "follows"),
    [
        (("embedding",), (), False),
        (("embedding", "patches"), ("embedding",), False),
        (("patches",), (), True),
        (("embedding",), ("pre-projection",), True),
        ((), ("embedding",), False),
    ],
)
def test_a_unit_without_its_embeddings_follows(
    centre: tuple[str, ...], views: tuple[str, ...], follows: bool
) -> None:
    unit = Unit("train", 0, 4, centre, views, (1, 2))
    assert unit.follows is follows
    assert list(unit.rows) == ([0, 1, 2, 3] if centre else [1, 2])
    assert unit.crops(5) == (4 if centre else 0) + 10
    sizes = {"embedding": 10, "pre-projection": 100, "patches": 1000}
    numbers = 4 * sum(sizes[n] for n in centre) + 10 * sum(sizes[n] for n in views)
    assert unit.numbers(5, sizes) == numbers


def test_a_listed_set_that_covers_the_request_is_filled_on(entry: Entry) -> None:
    assert choose_views(entry, ViewRecipe(0), "few-shot") == NO_VIEWS
    first = choose_views(entry, VIEWS, "few-shot")
    assert (len(first.name), first.recipe, first.rows) == (8, VIEWS, "few-shot")
    entry = announce(entry, ["train"], first, [])
    assert choose_views(entry, VIEWS, "few-shot") == first
    assert choose_views(entry, replace(VIEWS, count=1), "few-shot") == first
    for recipe, rows in (
        (replace(VIEWS, count=4), "few-shot"),
        (replace(VIEWS, seed=6), "few-shot"),
        (replace(VIEWS, flip=False), "few-shot"),
        (VIEWS, "all"),
    ):
        assert choose_views(entry, recipe, rows).name != first.name


def test_what_is_asked_is_announced_in_order(entry: Entry) -> None:
    entry = announce(entry, ["test"], NO_VIEWS, ["patches"])
    assert entry.manifest["asked"] == ["test"]
    entry = announce(entry, ["train"], NO_VIEWS, ["pre-projection"])
    assert entry.manifest["asked"] == ["train", "test"]
    assert entry.manifest["extras"] == {"pre-projection": ["train"], "patches": ["test"]}
    assert list(entry.manifest["extras"]) == ["pre-projection", "patches"]
    assert entry.manifest["view_sets"] == {}


def test_a_full_disk_is_noticed_before_work_starts(
    tmp_path: Path, tiny: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("usage", (), {"free": 100})
    monkeypatch.setattr(plan.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(CacheError, match="MB free"):
        encode_dataset(noise(), tiny, FeatureCache(tmp_path))


def test_room_is_two_bytes_a_number_and_some(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    unit = Unit("train", 0, 1000, ("embedding",), (), ())
    needed = int((2 * 1000 * 32 + 64 * 1000) * 1.1)
    usage = type("usage", (), {"free": needed})
    monkeypatch.setattr(plan.shutil, "disk_usage", lambda _: usage)
    plan.check_space(entry, [unit], 0, {"embedding": (32,)})
    usage.free = needed - 1
    with pytest.raises(CacheError, match="needs 0 MB"):
        plan.check_space(entry, [unit], 0, {"embedding": (32,)})
