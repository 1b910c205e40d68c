"""Sets as torchvision unpacks them: pictures in `images/`, with the publishers' own lists.

Food-101, Describable Textures (the first of its ten divisions) and Oxford-IIIT Pet; their splits
are not CoOp's. CIFAR is in `layouts.cifar`; what is unpacked as class folders is read as such.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from featcache.datasets.checks import safe_id
from featcache.datasets.dataset import Dataset
from featcache.datasets.kinds._arranged import Listed, arranged
from featcache.datasets.layouts._class_folders import Walk
from featcache.datasets.layouts._lists import placed, read_lines
from featcache.errors import DatasetError

# By the file that tells such a set: the list of each split.
LISTS = {
    "meta/train.txt": {"train": "meta/train.txt", "test": "meta/test.txt"},
    "labels/train1.txt": {s: f"labels/{s}1.txt" for s in ("train", "val", "test")},
    "annotations/trainval.txt": {
        "train": "annotations/trainval.txt",
        "test": "annotations/test.txt",
    },
}


def found(path: Path) -> bool:
    """Whether a folder has the pictures and the lists of one of these sets."""
    return (path / "images").is_dir() and bool(_lists(path))


def read(path: Path, *, name: str, walk: Walk) -> Dataset:
    """Read the lists of each split; classes are in the order of their names, or of their numbers.

    Raises DatasetError for lists that are missing, paths that lead elsewhere, and for what
    `arranged` refuses.
    """
    lists = _lists(path)
    if not lists:
        raise DatasetError(
            f"{path} has none of the lists {', '.join(LISTS)}; give the folder that does."
        )
    rows = [row for split, file in lists.items() for row in _listed(path, split, file, walk)]
    note = f"{path}: read by the publishers' own splits, which are not CoOp's."
    return arranged(name, path, rows, notes=(note,))


def _lists(path: Path) -> Mapping[str, str]:
    return next((files for first, files in LISTS.items() if (path / first).is_file()), {})


def _listed(path: Path, split: str, file: str, walk: Walk) -> Iterator[Listed]:
    where = path / file
    told = [_line(line) for line in read_lines(where) if not line.startswith("#")]
    ids = [safe_id(picture, str(where)) for picture, *_ in told]
    found = placed(path / "images", ids, walk.follow_links)
    for (id_, source), (_, label, name) in zip(found, told, strict=True):
        yield Listed(f"{where}, {id_}", id_, source, label, name, split)


def _line(line: str) -> tuple[str, str, str]:
    """Picture, class number and name of a line.

    It reads `apple_pie/1005649`, `banded/banded_0002.jpg`, or `Bengal_1 6 1 2`, whose second word
    numbers the class.
    """
    picture, *numbers = line.split(" ")
    name = picture.partition("/")[0] if "/" in picture else picture.rpartition("_")[0]
    path = picture if picture.lower().endswith(".jpg") else f"{picture}.jpg"
    return path, numbers[0] if numbers else name, name
