"""One's own pictures: a folder a class, with or without `train/ val/ test/` above them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from featcache.datasets.checks import checked, few, nfc
from featcache.datasets.dataset import PHOTO, Dataset, Item
from featcache.datasets.division import FRACTIONS, divide
from featcache.datasets.layouts._class_folders import (
    Walk,
    class_folders,
    inner_folders,
    pictures_in,
)
from featcache.datasets.layouts._class_names import class_names
from featcache.datasets.layouts._split_folders import split_folders
from featcache.errors import DatasetError
from featcache.pictures.formats import suffixes

Paths = Mapping[str, Sequence[Sequence[str]]]  # by split, class by class, as they are spelt


def read(
    folder: Path,
    *,
    name: str,
    seed: int = 1,
    fractions: tuple[float, float, float] = FRACTIONS,
    walk: Walk | None = None,
) -> Dataset:
    """Read class folders: those of `train/`, `val/` and `test/`, or else divide each class.

    Classes and pictures are in the order of their names, ids in composed letters; seed and
    fractions (train, val, test) only matter where there are no such folders. `coop.write` keeps
    such a split as a file. What was passed over stands in the notes. Raises DatasetError for a
    class folder without pictures, for one that `train/` lacks, and for a single class.
    """
    walk = walk or Walk()
    splits = split_folders(folder, walk)
    top = folder / (splits.get("train") or splits.get("test") or "")
    classes = class_folders(top, top if splits else folder, walk)
    if len(classes) == 1:
        _refuse_one_class(top, classes[0], walk)
    if splits:
        paths = _with_splits(folder, splits, [nfc(c) for c in classes], walk)
    else:
        paths = _divided(folder, classes, walk, seed, fractions)
    note = walk.note(folder)
    dataset = Dataset(
        name, class_names(classes), _items(folder, paths), PHOTO, True, (note,) * bool(note)
    )
    return checked(dataset, folder)


def _divided(
    folder: Path,
    classes: Sequence[str],
    walk: Walk,
    seed: int,
    fractions: tuple[float, float, float],
) -> Paths:
    pictures = [[f"{c}/{file}" for file in pictures_in(folder / c, folder, walk)] for c in classes]
    for classname, paths in zip(classes, pictures, strict=True):
        if len(paths) < 2:
            raise DatasetError(
                f"{folder / classname} holds one picture, too few for train and test; add some."
            )
    spelt = {nfc(path): path for paths in pictures for path in paths}
    splits = divide([[nfc(path) for path in paths] for paths in pictures], seed, fractions)
    return {s: [[spelt[id_] for id_ in ids] for ids in held] for s, held in splits.items()}


def _with_splits(
    folder: Path, splits: Mapping[str, str], classes: Sequence[str], walk: Walk
) -> Paths:
    paths: dict[str, list[list[str]]] = {}
    first = splits.get("train") or splits["test"]
    for split, level in splits.items():
        root = folder / level
        present = {nfc(c): c for c in class_folders(root, root, walk)}
        unknown = [c for c in present if c not in classes]
        if unknown:
            raise DatasetError(f"{root / unknown[0]}: no such class in {first}/; add it there.")
        paths[split] = [
            [
                f"{level}/{present[c]}/{file}"
                for file in (pictures_in(root / present[c], root, walk) if c in present else ())
            ]
            for c in classes
        ]
    return paths


def _items(folder: Path, paths: Paths) -> dict[str, tuple[Item, ...]]:
    return {
        split: items
        for split, classes in paths.items()
        if (
            items := tuple(
                Item(nfc(path), folder / path, label)
                for label, held in enumerate(classes)
                for path in held
            )
        )
    }


def _refuse_one_class(folder: Path, name: str, walk: Walk) -> None:
    """One class is none: there is nothing to tell it from, and every method is right always."""
    inner = inner_folders(folder / name, folder, walk)
    files = Counter(path.suffix.lower() for path in (folder / name).iterdir())
    pictures = sum(count for ending, count in files.items() if ending in suffixes())
    found = f"of the folders {few(inner)}" if inner else f"of {pictures} pictures"
    lists = sorted(p.name for p in folder.iterdir() if p.suffix in (".txt", ".csv", ".json"))
    beside = f" beside {few(lists)}, which are not read" if lists else ""
    way = f"give {folder / name} if these are the classes, or " if inner else ""
    raise DatasetError(
        f"{folder} gives one class, {name!r}, {found}{beside}; {way}put each class into its "
        "own folder, or list pictures and classes in a table or labels.txt (see docs/encoding.md)."
    )
