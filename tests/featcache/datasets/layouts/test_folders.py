"""Class folders, with splits above them or divided here."""

from __future__ import annotations

from pathlib import Path

import pytest

from featcache.datasets.layouts import folders
from featcache.datasets.registry import load
from featcache.errors import DatasetError
from tests.featcache.datasets.ponds import ids, touch


def test_class_folders_are_divided(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{c}/{i:02}.PNG" for c in ("newt", "Frog") for i in range(10)))
    touch(tmp_path, "newt/notes.txt", "newt/.hidden.png", ".cache/x.png", "list.csv")
    dataset = folders.read(tmp_path, name="pond")
    assert dataset.classnames == ("Frog", "newt")
    assert {split: len(items) for split, items in dataset.splits.items()} == {
        "train": 10,
        "val": 4,
        "test": 6,
    }
    assert folders.read(tmp_path, name="pond").fingerprint == dataset.fingerprint
    assert folders.read(tmp_path, name="pond", seed=2).fingerprint != dataset.fingerprint
    assert load(str(tmp_path)).fingerprint == dataset.fingerprint


def test_folders_with_splits(tmp_path: Path) -> None:
    touch(tmp_path, "train/frog/1.jpg", "train/newt/1.jpg", "test/newt/1.jpg")
    dataset = folders.read(tmp_path, name="pond")
    assert ids(dataset, "test") == ["test/newt/1.jpg"]
    assert dataset.splits["test"][0].label == 1
    assert set(dataset.splits) == {"train", "test"}
    touch(tmp_path, "test/toad/1.jpg")
    with pytest.raises(DatasetError, match=r"test/toad: no such class in train/"):
        folders.read(tmp_path, name="pond")


def test_folders_that_cannot_serve_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no class folders"):
        folders.read(tmp_path, name="pond")
    touch(tmp_path, "frog/1.jpg")
    with pytest.raises(DatasetError, match="frog holds one picture"):
        folders.read(tmp_path, name="pond")
    touch(tmp_path, "frog/2.jpg", "newt/readme.txt")
    with pytest.raises(DatasetError, match="newt holds no pictures"):
        folders.read(tmp_path, name="pond")
    touch(tmp_path, "newt/1.jpg", "newt/2.jpg")
    (tmp_path / "toad").symlink_to("/")
    with pytest.raises(DatasetError, match="link that leads out"):
        folders.read(tmp_path, name="pond")
    touch(tmp_path, "train/frog/1.jpg")
    with pytest.raises(DatasetError, match="no test/"):
        folders.read(tmp_path, name="pond")
