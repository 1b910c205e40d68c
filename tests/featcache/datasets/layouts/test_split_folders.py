"""Which folders are splits, under whatever name, and which are classes."""

from __future__ import annotations

from pathlib import Path

import pytest

from featcache.datasets.layouts._class_folders import Walk
from featcache.datasets.layouts._split_folders import SPELLINGS, split_folders
from featcache.errors import DatasetError
from tests.featcache.datasets.ponds import touch


def found(root: Path, *folders: str) -> dict[str, str]:
    touch(root, *(f"{folder}/1.jpg" for folder in folders))
    return split_folders(root, Walk())


@pytest.mark.parametrize(
    ("split", "name"),
    [(s, n) for s, names in SPELLINGS.items() for name in names for n in (name, name.title())],
)
def test_every_spelling_in_any_case(tmp_path: Path, split: str, name: str) -> None:
    folders = {"train": "train", "val": "val", "test": "test"} | {split: name}
    assert found(tmp_path, *(f"{folder}/frog" for folder in folders.values())) == folders


@pytest.mark.parametrize(
    ("folders", "splits"),
    [
        (["frog", "newt"], {}),
        (["frog", "train", "test"], {}),  # a locomotive, an examination
        (["train/frog", "test/frog"], {"train": "train", "test": "test"}),
        (["train/frog", "test/frog", "notes"], {"train": "train", "test": "test"}),
        (["test/frog", "test/newt"], {"test": "test"}),
        (["test/frog", "dev/newt"], {"val": "dev", "test": "test"}),
        (["train", "test"], {"train": "train", "test": "test"}),  # refused: no class folders
    ],
)
def test_a_split_holds_folders_and_a_class_pictures(
    tmp_path: Path, folders: list[str], splits: dict[str, str]
) -> None:
    assert found(tmp_path, *folders) == splits


@pytest.mark.parametrize(
    ("folders", "told"),
    [
        (["train/a"], "has train/ but no test/; add it, or remove the level train/."),
        (
            ["train/a", "valid/a"],
            "has train/ and valid/ but no test/; add it, or rename valid/ to test/ if that is what "
            "to score on.",
        ),
        (["val/a"], "has val/ but no test/; add it, or remove the level val/."),
        (["train/a", "test/a", "val/a", "dev/a"], "has dev/ and val/; keep one of them."),
        (["train/a", "Train/a", "test/a"], "has Train/ and train/; keep one of them."),
        (
            ["test/a", "b", "c"],
            "has test/ beside 'b', 'c' but no train/; put the folders of classes that are for "
            "training into train/.",
        ),
    ],
)
def test_what_is_not_clear_is_refused(tmp_path: Path, folders: list[str], told: str) -> None:
    with pytest.raises(DatasetError) as error:
        found(tmp_path, *folders)
    assert str(error.value) == f"{tmp_path} {told}"


def test_folders_beside_the_splits_are_passed_over_and_named(tmp_path: Path) -> None:
    touch(tmp_path, "train/a/1.jpg", "test/a/1.jpg", "masks/1.png", "README.md")
    walk = Walk()
    split_folders(tmp_path, walk)
    assert walk.note(tmp_path) == (
        f"{tmp_path}: passed over 1 files that are no pictures by their ending (1 .md); folders "
        "that are no split ('masks')."
    )
