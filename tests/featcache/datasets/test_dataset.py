"""What is encoded: pictures in fixed order, and a fingerprint of what decides which row is what."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featcache.datasets.dataset import PHOTO, SPLITS, Dataset, Item

POND = Dataset(
    "pond",
    ("frog", "newt"),
    {
        "test": (Item("c.jpg", Path("c.jpg"), 0),),
        "train": (Item("a.jpg", Path("a.jpg"), 0), Item("b.jpg", Path("b.jpg"), 1)),
    },
)
BOX = (0, 0, 10, 20)
names = st.text(st.characters(exclude_characters="\0\1", exclude_categories=["Cs"]), max_size=3)
rows = st.lists(st.tuples(names, st.integers(0, 9)), max_size=3)
contents = st.tuples(
    st.lists(names, max_size=3), st.dictionaries(st.sampled_from(SPLITS), rows, max_size=2)
)


def made(content: tuple[list[str], dict[str, list[tuple[str, int]]]]) -> Dataset:
    classnames, splits = content
    items = {s: tuple(Item(i, Path(i), y) for i, y in held) for s, held in splits.items()}
    return Dataset("x", tuple(classnames), items)


def test_the_fingerprint_never_changes() -> None:
    """Entries of a cache are found by it: names, then split by split ids and labels."""
    told = b"frog\0newt\0\1test\0c.jpg\x000\0\1train\0a.jpg\x000\0b.jpg\x001\0"
    assert POND.fingerprint == hashlib.sha256(told).hexdigest()[:16]


@given(contents, contents)
def test_equal_fingerprints_are_equal_contents(one: object, other: object) -> None:
    same = one == other
    assert (made(one).fingerprint == made(other).fingerprint) == same  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changed",
    [
        replace(POND, classnames=("newt", "frog")),
        replace(POND, classnames=("frogn", "ewt")),
        replace(POND, splits={**POND.splits, "val": ()}),
        replace(POND, splits={**POND.splits, "train": POND.splits["train"][::-1]}),
        replace(POND, splits={"train": POND.splits["test"], "test": POND.splits["train"]}),
        replace(POND, splits={**POND.splits, "test": (Item("c.jpg", Path("c.jpg"), 1),)}),
        replace(POND, splits={**POND.splits, "test": (Item("d.jpg", Path("c.jpg"), 0),)}),
        replace(POND, splits={**POND.splits, "test": (Item("c.jpg", Path("c.jpg"), 0, BOX),)}),
        replace(POND, problems=7),
    ],
)
def test_whatever_moves_a_row_changes_the_fingerprint(changed: Dataset) -> None:
    assert changed.fingerprint != POND.fingerprint


def test_places_templates_and_names_do_not_count() -> None:
    """The same data set elsewhere, or with other prompts, is the same rows."""
    moved = {
        split: tuple(replace(item, source=Path("/elsewhere") / item.id) for item in items)
        for split, items in reversed(POND.splits.items())
    }
    other = replace(POND, name="lake", splits=moved, templates=("the {}.",), flip=False)
    assert other.fingerprint == POND.fingerprint


@pytest.mark.parametrize("place", range(4))
def test_each_edge_of_a_box_counts_by_its_value(place: int) -> None:
    def boxed(*box: float) -> str:
        left, top, right, bottom = box
        item = Item("c.jpg", Path("c.jpg"), 0, (left, top, right, bottom))
        return replace(POND, splits={"test": (item,)}).fingerprint

    moved = [edge + 0.5 * (index == place) for index, edge in enumerate(BOX)]
    assert boxed(*moved) != boxed(*BOX)
    assert boxed(*map(float, BOX)) == boxed(*BOX)


def test_what_is_not_said_is_a_photo_that_may_be_mirrored() -> None:
    assert PHOTO == ("a photo of a {}.",)
    assert SPLITS == ("train", "val", "test")
    assert POND.templates == PHOTO
    assert POND.flip is True
    assert POND.problems == 0
    assert POND.splits["test"][0].box is None


def test_neither_data_sets_nor_items_change() -> None:
    with pytest.raises(FrozenInstanceError):
        POND.name = "lake"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        POND.splits["test"][0].label = 1  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(POND.splits)) == POND.splits
