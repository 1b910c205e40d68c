"""Listed pictures become classes and splits, or a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featcache.datasets.dataset import Dataset
from featcache.datasets.division import divide
from featcache.datasets.kinds._arranged import (
    Listed,
    arranged,
    names_beside,
    split_in,
    split_of,
)
from featcache.datasets.stored import Part
from featcache.errors import DatasetError
from tests.featcache.datasets.ponds import ids

HERE = Path("rows.csv")


def rows(*told: Sequence[str]) -> list[Listed]:
    """Rows by label, class name and split, as far as given; ids are their numbers."""
    part = Part(Path("x"), 0, 0)
    return [Listed(f"row {n}", f"{n}.png", part, *each) for n, each in enumerate(told)]


def made(*told: Sequence[str], **more: Any) -> Dataset:
    return arranged("mine", HERE, rows(*told), **more)


SPLIT = [("a", "", "train"), ("b", "", "train"), ("b", "", "test"), ("a", "", "val")]


def test_splits_and_order_are_as_listed() -> None:
    dataset = made(*SPLIT, ("a", "", "train"))
    assert {s: ids(dataset, s) for s in dataset.splits} == {
        "train": ["0.png", "1.png", "4.png"],
        "val": ["3.png"],
        "test": ["2.png"],
    }
    assert dataset.classnames == ("a", "b")
    assert [item.label for item in dataset.splits["train"]] == [0, 1, 0]


@given(st.lists(st.sampled_from("ab"), min_size=8, max_size=30))
def test_without_splits_each_class_is_divided_by_ids_alone(labels: list[str]) -> None:
    told = [*"abab", *labels]
    dataset = made(*((label,) for label in told))
    members = [[f"{n}.png" for n, label in enumerate(told) if label == c] for c in "ab"]
    for split, classes in divide(members, seed=1).items():
        assert set(ids(dataset, split) if split in dataset.splits else ()) == {
            id_ for held in classes for id_ in held
        }
    assert made(*((label, "", "train") for label in told)).splits == dataset.splits


def test_train_alone_is_divided_and_that_is_said() -> None:
    dataset = made(*[("a", "", "train"), ("b", "", "train")] * 4)
    assert set(dataset.splits) >= {"train", "test"}
    assert "train alone" in dataset.notes[0]


def test_classes_by_number_have_names_from_rows_or_a_list() -> None:
    assert made(*[("7", "x"), ("2", "y")] * 3).classnames == ("y", "x")
    assert made(*[("0",), ("1",)] * 3, names=("x", "y")).classnames == ("x", "y")
    one_based = made(*[("1",), ("2",)] * 3, names=("x", "y"))
    assert {item.label for item in one_based.splits["train"]} == {0, 1}
    assert made(*[("y",), ("x",)] * 3, names=("y", "x")).classnames == ("y", "x")
    assert made(*[("é",), ("e\u0301",), ("x",)] * 2).classnames == ("x", "é")


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ([], "lists no pictures"),
        ([("a",), ("a",)], "one class, 'a'"),
        ([("0",), ("1",)], r"classes are numbers, such as 0.*classes\.txt"),
        ([("-1",), ("1",)], "row 0: the class -1 is less than 0"),
        ([("0", "x"), ("0", "y")], "row 1: class 0 is called 'y' here and 'x' before"),
        ([("0", "x"), ("1", "")], "row 1: the class '' is not one line"),
        ([("a",), ("b\n",)], "row 1: the class"),
        ([("a",), ("b",), ("b",)], "'a' has one picture"),
        ([*SPLIT, ("a",)], "row 4: nothing says which split"),
        ([("a", "", "train"), ("b", "", "val")], "train and val but no test; call that"),
        ([("a", "", "train"), ("b", "", "test")], "no training pictures of 'b'"),
    ],
)
def test_what_is_refused(told: list[tuple[str, ...]], why: str) -> None:
    with pytest.raises(DatasetError, match=why):
        made(*told)


def test_numbers_beyond_the_names_are_refused() -> None:
    with pytest.raises(DatasetError, match="row 2: class 2 is none of the 2 that have names"):
        made(("0",), ("1",), ("2",), names=("x", "y"))


def test_a_picture_is_listed_once() -> None:
    with pytest.raises(DatasetError, match=r"row 0: 0\.png is listed already, at row 0"):
        arranged("mine", HERE, rows(("a",)) * 2)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("cat\nbig dog\n", ("cat", "big dog")),
        ("0 cat\n1 big dog\n", ("cat", "big dog")),
        ("1: cat\n2: big dog\n", ("cat", "big dog")),
        ("2 door\n4 door\n", ("2 door", "4 door")),
    ],
)
def test_names_are_lines_without_their_numbers(
    tmp_path: Path, text: str, names: tuple[str, ...]
) -> None:
    assert names_beside(tmp_path) == ()
    (tmp_path / "classes.txt").write_text(text)
    assert names_beside(tmp_path) == names


def test_numbers_tell_classes_of_one_name_apart(tmp_path: Path) -> None:
    (tmp_path / "classnames.txt").write_text("crane\ncrane\n")
    for dataset in (
        made(*[("0",), ("1",)] * 3, names=names_beside(tmp_path)),
        made(*[("4", "crane"), ("7", "crane")] * 3),
    ):
        assert dataset.classnames == ("crane", "crane")
        assert dataset.class_ids == ("0", "1")
    assert made(*[("a",), ("b",)] * 3).class_ids == ()
    assert made(*[("a",), ("b",)] * 3, names=("a", "b", "b")).classnames == ("a", "b")


def test_splits_by_name() -> None:
    assert [split_of(n, "x") for n in ("Training", " dev", "validation", "test", "")] == [
        *("train", "val", "val", "test", ""),
    ]
    with pytest.raises(DatasetError, match="x: the split 'extra' is none of train, val, test"):
        split_of("extra", "x")
    assert [split_in(n) for n in ("pets-train-000", "validation_3", "latest-0", "train-test")] == [
        *("train", "val", "", ""),
    ]
