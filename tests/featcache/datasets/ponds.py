"""Small data sets in the layouts of CoOp and of ImageNet, and empty files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from featcache.datasets.dataset import Dataset
from featcache.datasets.layouts import coop

SPLIT = "split_zhou_Pond.json"
CLASSES = "classnames.txt"
WNIDS = "n00000003 missile\nn00000001 tench\nn00000002 missile\n"

POND = {
    "train": [["newt/2.jpg", 1, "crested_newt"], ["frog/1.jpg", 0, "frog"]],
    "val": [["frog/2.jpg", 0, "frog"]],
    "test": [["frog/3.jpg", 0, "frog"], ["newt/1.jpg", 1, "crested_newt"]],
}


def touch(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def pond(folder: Path, images: str = "images", split: str = SPLIT, **changes: Any) -> Path:
    """A small data set of CoOp's layout; its pictures are there whatever the changed lists say."""
    touch(folder / images, *(str(path) for part in POND.values() for path, _, _ in part))
    (folder / split).write_text(json.dumps(POND | changes))
    return folder


def imagenet(folder: Path, *pictures: str) -> Path:
    """Three classes by wnid, two of one name, and these pictures."""
    touch(folder, *pictures)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CLASSES).write_text(WNIDS)
    return folder


def read(folder: Path) -> Dataset:
    return coop.read(folder, "images", SPLIT, name="pond")


def ids(dataset: Dataset, split: str) -> list[str]:
    return [item.id for item in dataset.splits[split]]
