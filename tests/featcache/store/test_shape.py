"""A manifest of another shape is told by its first wrong place."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from featcache.store.shape import misshapen
from tests.featcache.store.made import made


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return dict(made(tmp_path_factory.mktemp("cache")).manifest)


def test_what_is_written_has_the_right_shape(sound: dict[str, Any]) -> None:
    assert misshapen(sound) == ""


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (("asked",), "train", "asked is no list"),
        (("asked",), [1], "asked.0 is no str"),
        (("shards",), [], "shards is no object"),
        (("shards", "projection.h5"), 7, "shards.projection.h5 is no object"),
        (("shards", "projection.h5", "bytes"), True, "shards.projection.h5.bytes is no int"),
        (("shards", "projection.h5", "sha256"), None, "shards.projection.h5.sha256 is no str"),
        (("shards", "projection.h5", "start"), 1.5, "shards.projection.h5.start is no int"),
        (("view_sets", "train"), {"x": 1}, "view_sets.train.x is no dict"),
        (("texts", "seven"), 7, "texts.seven is no str"),
        (("extras",), {"patches": "train"}, "extras.patches is no list"),
        (("dataset",), None, "dataset is no object"),
        (("dataset", "classnames"), {}, "dataset.classnames is no list"),
        (("dataset", "class_ids"), [1], "dataset.class_ids.0 is no str"),
        (("dataset", "splits", "train"), "9", "dataset.splits.train is no int"),
        (("backbone", "logit_scale"), "100", "backbone.logit_scale is no float"),
    ],
)
def test_the_first_wrong_place_is_told(
    sound: dict[str, Any], place: tuple[str, ...], value: Any, told: str
) -> None:
    changed = deepcopy(sound)
    *way, last = place
    inner = changed
    for name in way:
        inner = inner[name]
    inner[last] = value
    assert misshapen(changed) == told


@pytest.mark.parametrize("place", ["shards", "dataset.name", "backbone.logit_scale"])
def test_what_must_be_there_is_missed(sound: dict[str, Any], place: str) -> None:
    changed = deepcopy(sound)
    *way, last = place.split(".")
    del (changed[way[0]] if way else changed)[last]
    assert misshapen(changed) == f"{place} is missing"


@pytest.mark.parametrize("name", ["", "..", "../a.h5", "/a.h5", "a\\b.h5", "a\0"])
def test_a_shard_lies_in_the_folder_of_its_entry(sound: dict[str, Any], name: str) -> None:
    record = next(iter(sound["shards"].values()))
    changed = {**sound, "shards": {**sound["shards"], name: record}}
    assert misshapen(changed) == f"shards: {name!r} is no file name"


def test_any_top_level_but_an_object_is_refused(tmp_path: Path) -> None:
    assert misshapen([]) == "its top level is no object"  # type: ignore[arg-type]
