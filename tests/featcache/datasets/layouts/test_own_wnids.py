"""ImageNet-A and -R: the classes are those that have a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from featcache.datasets.dataset import PHOTO
from featcache.datasets.layouts import own_wnids
from featcache.datasets.registry import load
from featcache.errors import DatasetError
from tests.featcache.datasets.ponds import CLASSES, imagenet, touch


def test_labels_are_ranks_among_the_folders_that_there_are(tmp_path: Path) -> None:
    folder = imagenet(tmp_path, "own/n00000003/b.jpg", "own/n00000001/a.jpg")
    dataset = own_wnids.read(folder, "own", CLASSES, name="a")
    assert dataset.classnames == ("tench", "missile")
    assert [(item.id, item.label) for item in dataset.splits["test"]] == [
        ("n00000001/a.jpg", 0),
        ("n00000003/b.jpg", 1),
    ]
    assert list(dataset.splits) == ["test"]
    assert dataset.templates == PHOTO


def test_two_classes_of_one_name_stay_two(tmp_path: Path) -> None:
    folder = imagenet(tmp_path, "own/n00000003/b.jpg", "own/n00000002/a.jpg")
    dataset = own_wnids.read(folder, "own", CLASSES, name="a", templates=["{}!"])
    assert dataset.classnames == ("missile", "missile")
    assert dataset.class_ids == ("n00000002", "n00000003")
    assert dataset.templates == ("{}!",)


@pytest.mark.parametrize(("letter", "folder"), [("a", "adversarial"), ("r", "rendition")])
def test_files_beside_the_folders_are_passed_over(tmp_path: Path, letter: str, folder: str) -> None:
    root = tmp_path / f"imagenet-{folder}"
    imagenet(root, f"imagenet-{letter}/n00000003/a.jpg")
    touch(root / f"imagenet-{letter}", "README.txt")
    own = load(f"imagenet-{letter}", tmp_path)
    assert list(own.splits) == ["test"]
    assert own.classnames == ("missile",)
    assert [item.label for item in own.splits["test"]] == [0]


def test_a_folder_that_is_no_wnid_is_refused(tmp_path: Path) -> None:
    folder = imagenet(tmp_path, "own/n00000003/b.jpg", "own/others/a.jpg")
    with pytest.raises(DatasetError, match=r"own/others is no class of classnames\.txt"):
        own_wnids.read(folder, "own", CLASSES, name="a")


def test_no_folders_at_all_are_refused(tmp_path: Path) -> None:
    folder = imagenet(tmp_path, "own/readme.jpg")
    with pytest.raises(DatasetError, match="no class folders"):
        own_wnids.read(folder, "own", CLASSES, name="a")
