"""Lists whose pictures are there in part: what is said, and the classes that are left."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featcache.datasets.dataset import Dataset, Item
from featcache.datasets.presence import finder, missing, partial, present
from featcache.errors import DatasetError

NAMES = ("ant", "bee", "cow", "dog")


def herd(root: Path, gone: set[str]) -> Dataset:
    """Two pictures a class and split, `ant/train0.jpg` and so on, those in `gone` not there."""
    splits = {}
    for split in ("train", "test"):
        items = []
        for label, name in enumerate(NAMES):
            for i in range(2):
                id_ = f"{name}/{split}{i}.jpg"
                items.append(Item(id_, root / id_, label))
                (root / name).mkdir(parents=True, exist_ok=True)
                if id_ not in gone:
                    (root / id_).touch()
        splits[split] = tuple(items)
    return Dataset("herd", NAMES, splits, class_ids=tuple(f"n{name}" for name in NAMES))


EVERY = [f"{name}/{split}{i}.jpg" for name in NAMES for split in ("train", "test") for i in (0, 1)]


@given(st.sets(st.sampled_from(EVERY)))
def test_a_class_stays_where_each_split_has_some_of_it(
    tmp_path_factory: pytest.TempPathFactory, gone: set[str]
) -> None:
    dataset = herd(tmp_path_factory.mktemp("herd"), gone)
    assert {i.id for items in missing(dataset).values() for i in items} == gone
    assert (partial(dataset) == "") == (not gone)
    parts = [(n, [{f"{n}/{s}{i}.jpg" for i in (0, 1)} for s in ("train", "test")]) for n in NAMES]
    left = [name for name, held in parts if not any(part <= gone for part in held)]
    if len(left) < 2:
        with pytest.raises(DatasetError, match=f"of {len(left)} of its 4 classes, and two are"):
            present(dataset)
        return
    found = present(dataset)
    assert found.class_ids == tuple(f"n{name}" for name in found.classnames)
    assert list(found.classnames) == left
    for split, items in found.splits.items():
        kept = [item for item in dataset.splits[split] if NAMES[item.label] in left]
        assert [item.id for item in items] == [item.id for item in kept]
        assert [left[item.label] for item in items] == [NAMES[item.label] for item in kept]


def test_what_is_left_out_and_what_is_still_missing_are_said(tmp_path: Path) -> None:
    gone = {p for p in EVERY if p.startswith("bee")} | {"dog/test1.jpg"}
    dataset = herd(tmp_path, gone)
    first = tmp_path / "bee/train0.jpg"
    assert partial(dataset) == (
        f"herd: 5 of 16 pictures are not there, the first is {first}; of 1 of 4 classes none; "
        "`featcache doctor` looks for them, --classes present leaves such classes out."
    )
    assert present(dataset).notes == (
        "herd: 3 of 4 classes are there and taken, with labels 0 to 2 in their order: 'ant', "
        "'cow', 'dog'.",
        f"herd: 1 of 16 pictures are not there, the first is {tmp_path / 'dog/test1.jpg'}, of "
        "classes that are; `featcache doctor` looks for them.",
    )
    assert present(herd(tmp_path / "whole", set())).notes == ()


def test_classes_that_no_list_trains_on_are_not_there(tmp_path: Path) -> None:
    dataset = herd(tmp_path, set())
    train = tuple(item for item in dataset.splits["train"] if item.label != 1)
    found = present(Dataset("herd", NAMES, {**dataset.splits, "train": train}))
    assert found.classnames == ("ant", "cow", "dog")


def test_a_folder_that_is_not_there_has_nothing(tmp_path: Path) -> None:
    there = finder()
    assert not there(tmp_path / "nowhere" / "x")
    (tmp_path / "x").touch()
    assert there(tmp_path / "x")
