"""One's own pictures: a folder a class, with or without `train/ val/ test/` above them."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from featcache.datasets.checks import checked, visible
from featcache.datasets.dataset import SPLITS, Dataset, Item
from featcache.errors import ConfigError, DatasetError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm")
FRACTIONS = (0.5, 0.2, 0.3)  # train, val, test: as CoOp divides the sets it splits itself
T = TypeVar("T")


def read_folders(
    folder: Path, *, name: str, seed: int = 1, fractions: tuple[float, float, float] = FRACTIONS
) -> Dataset:
    """Read class folders: those of `train/`, `val/` and `test/`, or else divide each class.

    Classes and pictures are in the order of their names; seed and fractions (train, val, test)
    only matter where there is no `train/`. `write_coop` keeps such a split as a file.
    Raises DatasetError for a class folder without pictures and for one that `train/` lacks.
    """
    if (folder / "train").is_dir():
        return checked(_divided(folder, name), folder)
    classes = class_folders(folder, folder)
    pictures = [[f"{c}/{file}" for file in pictures_in(folder / c, folder)] for c in classes]
    for classname, ids in zip(classes, pictures, strict=True):
        if len(ids) < 2:
            raise DatasetError(
                f"{folder / classname} holds one picture, too few for train and test; add some."
            )
    splits = divide(pictures, seed, fractions)
    return checked(Dataset(name, tuple(classes), _items(folder, splits)), folder)


def divide(
    classes: Sequence[Sequence[T]], seed: int, fractions: tuple[float, float, float] = FRACTIONS
) -> dict[str, list[list[T]]]:
    """Divide each class at random but reproducibly into train, val and test, order kept.

    Each class of two members or more gives at least one to train and one to test. Raises
    ConfigError for fractions that are negative or do not add up to 1.
    """
    if not (min(fractions) >= 0 and abs(sum(fractions) - 1) < 1e-6):  # not (…): NaN fails too
        raise ConfigError(f"the fractions {fractions} must not be negative and must add up to 1.")
    rng = random.Random(seed)
    splits: dict[str, list[list[T]]] = {split: [] for split in SPLITS}
    for members in classes:
        n = len(members)
        order = rng.sample(range(n), n)
        test = min(max(1, round(fractions[2] * n)), n - 1)
        val = min(round(fractions[1] * n), n - 1 - test)
        parts = order[test + val :], order[test : test + val], order[:test]
        for split, part in zip(SPLITS, parts, strict=True):
            splits[split].append([members[i] for i in sorted(part)])
    return splits


def class_folders(folder: Path, root: Path) -> list[str]:
    """Names of the folders in a folder, sorted; DatasetError if there is none."""
    names = [entry.name for entry in visible(folder, root) if entry.is_dir()]
    if not names:
        raise DatasetError(f"{folder} holds no class folders; put each class into its own folder.")
    return names


def pictures_in(folder: Path, root: Path) -> list[str]:
    """Names of the picture files in a class folder, sorted; DatasetError if there is none."""
    names = [e.name for e in visible(folder, root) if e.name.lower().endswith(SUFFIXES)]
    if not names:
        raise DatasetError(
            f"the class folder {folder} holds no pictures ({', '.join(SUFFIXES)}); "
            "add some or remove it."
        )
    return names


def _divided(folder: Path, name: str) -> Dataset:
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
