"""ImageNet itself: classes by wnid, the published `val` for test."""

from __future__ import annotations

from pathlib import Path

import pytest

from featcache.datasets.registry import load
from featcache.errors import DatasetError
from tests.featcache.datasets.ponds import ids, imagenet, touch


def test_imagenet_ranks_wnids_and_sorts_files(tmp_path: Path) -> None:
    train = [f"images/train/n0000000{w}/{p}.JPEG" for w in (3, 2, 1) for p in "ba"]
    imagenet(tmp_path / "imagenet", *train, "images/val/n00000003/v.JPEG")
    dataset = load("ImageNet", tmp_path)
    assert dataset.classnames == ("tench", "missile", "missile")
    assert dataset.class_ids == ("n00000001", "n00000002", "n00000003")
    assert ids(dataset, "train")[:3] == [
        "train/n00000001/a.JPEG",
        "train/n00000001/b.JPEG",
        "train/n00000002/a.JPEG",
    ]
    assert [item.label for item in dataset.splits["test"]] == [2]
    assert "val" not in dataset.splits
    assert dataset.splits["test"][0].source == tmp_path / "imagenet/images/val/n00000003/v.JPEG"


def test_flat_imagenet_val_and_lacking_class_are_refused(tmp_path: Path) -> None:
    folder = imagenet(tmp_path, "images/train/n00000001/a.JPEG", "images/val/v.JPEG")
    with pytest.raises(DatasetError, match="no class folders"):
        load("imagenet", folder)
    touch(folder, "images/val/n00000001/v.JPEG")
    with pytest.raises(DatasetError, match="no training pictures of 'missile', 'missile'"):
        load("imagenet", folder)
