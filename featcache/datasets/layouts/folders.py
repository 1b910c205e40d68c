"""One's own pictures: a folder a class, with or without `train/ val/ test/` above them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from featcache.datasets.checks import checked
from featcache.datasets.dataset import SPLITS, Dataset, Item
from featcache.datasets.division import FRACTIONS, divide
from featcache.datasets.layouts._class_folders import class_folders, pictures_in
from featcache.errors import DatasetError


def read(
    folder: Path, *, name: str, seed: int = 1, fractions: tuple[float, float, float] = FRACTIONS
) -> Dataset:
    """Read class folders: those of `train/`, `val/` and `test/`, or else divide each class.

    Classes and pictures are in the order of their names; seed and fractions (train, val, test)
    only matter where there is no `train/`. `coop.write` keeps such a split as a file.
    Raises DatasetError for a class folder without pictures and for one that `train/` lacks.
    """
    if (folder / "train").is_dir():
        return checked(_with_splits(folder, name), folder)
    classes = class_folders(folder, folder)
    pictures = [[f"{c}/{file}" for file in pictures_in(folder / c, folder)] for c in classes]
    for classname, ids in zip(classes, pictures, strict=True):
        if len(ids) < 2:
            raise DatasetError(
                f"{folder / classname} holds one picture, too few for train and test; add some."
            )
    splits = divide(pictures, seed, fractions)
    return checked(Dataset(name, tuple(classes), _items(folder, splits)), folder)


def _with_splits(folder: Path, name: str) -> Dataset:
    if not (folder / "test").is_dir():
        raise DatasetError(f"{folder} has train/ but no test/; add it, or remove the level train/.")
    classes = class_folders(folder / "train", folder / "train")
    splits: dict[str, list[list[str]]] = {}
    for split in SPLITS:
        root = folder / split
        if not root.is_dir():
            continue
        present = class_folders(root, root)
        unknown = [c for c in present if c not in classes]
        if unknown:
            raise DatasetError(f"{root / unknown[0]}: no such class in train/; add it there.")
        splits[split] = [
            [f"{split}/{c}/{file}" for file in pictures_in(root / c, root)] if c in present else []
            for c in classes
        ]
    return Dataset(name, tuple(classes), _items(folder, splits))


def _items(folder: Path, splits: Mapping[str, list[list[str]]]) -> dict[str, tuple[Item, ...]]:
    return {
        split: items
        for split, classes in splits.items()
        if (
            items := tuple(
                Item(id_, folder / id_, label) for label, ids in enumerate(classes) for id_ in ids
            )
        )
    }
