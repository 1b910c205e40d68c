"""CUB's text files, as they are published."""

from __future__ import annotations

from pathlib import Path

import pytest

from featcache.datasets.layouts.cub import listed
from featcache.datasets.registry import load
from featcache.datasets.table import named
from featcache.errors import DatasetError
from tests.featcache.datasets.ponds import ids, touch

NAMES = ("001.Black_footed_Albatross", "002.Laysan_Albatross")
PICTURES = [f"{name}/{name[4:]}_{n:04d}_{n + 7}.jpg" for name in NAMES for n in range(3)]


def cub(folder: Path) -> Path:
    """Two species of three pictures: the first of each for test."""
    touch(folder / "images", *PICTURES)
    touch(folder, "README", "bounding_boxes.txt", "attributes/certainties.txt", "parts/parts.txt")
    lists = {
        "images.txt": PICTURES,
        "image_class_labels.txt": [1, 1, 1, 2, 2, 2],
        "train_test_split.txt": [0, 1, 1, 0, 1, 1],
        "classes.txt": NAMES,
    }
    for name, held in lists.items():
        lines = "".join(f"{n} {each}\n" for n, each in enumerate(held, start=1))
        (folder / name).write_text(lines)
    return folder


@pytest.mark.parametrize("way", ["by name", "by folder"])
def test_splits_classes_and_labels(tmp_path: Path, way: str) -> None:
    folder = cub(tmp_path / "CUB_200_2011")
    dataset = load("CUB", tmp_path) if way == "by name" else load(str(folder))
    assert dataset.name == "cub"
    assert dataset.classnames == ("Black_footed_Albatross", "Laysan_Albatross")
    assert ids(dataset, "test") == [PICTURES[0], PICTURES[3]]
    assert [i.label for i in dataset.splits["train"]] == [0, 0, 1, 1]
    assert "val" not in dataset.splits
    assert dataset.templates == ("a photo of a {}, a type of bird.",)
    assert dataset.notes == ()


def test_the_published_counts_add_up() -> None:
    info = named("cub")
    assert info is not None
    assert (info.classes, info.sizes) == (200, {"train": 5994, "test": 5794})
    assert sum(info.sizes.values()) == 11_788


@pytest.mark.parametrize(
    ("file", "old", "new", "why"),
    [
        ("images.txt", "1 001", "x 001", "is not a new '<number> <text>'"),
        ("images.txt", "2 001", "1 001", "is not a new '<number> <text>'"),
        ("images.txt", "1 001", "1 ../001", "does not stay in the image folder"),
        ("image_class_labels.txt", "6 2", "6 3", "says nothing valid of picture 6"),
        ("image_class_labels.txt", "6 2", "7 2", "says nothing valid of picture 6"),
        ("train_test_split.txt", "1 0", "1 2", "says nothing valid of picture 1"),
        ("classes.txt", "2 002.Laysan_Albatross", "2", "is not a new"),
    ],
)
def test_lists_that_do_not_agree_are_told(
    tmp_path: Path, file: str, old: str, new: str, why: str
) -> None:
    path = cub(tmp_path) / file
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(DatasetError, match=why):
        listed(tmp_path, "images.txt")
