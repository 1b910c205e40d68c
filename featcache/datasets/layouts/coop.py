"""The layout of CoOp (Zhou et al. 2022): pictures in folders, and lists that say which is what.

A split file is JSON `{"train": [[path, label, class name], …], "val": …, "test": …}` with paths
below an image folder. The order of its lists is kept: it decides the few-shot draws. Class names
stay as written, with underscores; `featcache.prompts` makes them spaces.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from featcache.datasets.checks import as_spelt, exists, is_plain, read_text, safe_id
from featcache.datasets.dataset import PHOTO, SPLITS, Dataset
from featcache.datasets.layouts._lists import Row, assemble, why
from featcache.errors import DatasetError


def read(
    folder: Path,
    images: str,
    split: str,
    *,
    name: str,
    templates: Sequence[str] = PHOTO,
    follow_links: bool = False,
) -> Dataset:
    """Read the split file `folder/split`, its paths lying below `folder/images`.

    Raises DatasetError for a file that is missing or malformed, for a path that leads out of the
    image folder, and for labels that are not 0 … c - 1 with one name each.
    """
    path = folder / split
    names, rows = listed(folder, split)
    return assemble(name, folder / images, names, rows, path, templates, follow_links)


def listed(folder: Path, split: str) -> tuple[tuple[str, ...], dict[str, list[Row]]]:
    """The class names and the rows of each split of a split file; no picture need be there.

    Raises DatasetError for a file that is missing or malformed.
    """
    path = folder / split
    data = _read_json(path)
    if not isinstance(data, dict):
        raise DatasetError(f"{path} is not an object with train, val and test; see CoOp's splits.")
    rows = {part: _rows(data.get(part, []), f"{path}, {part}") for part in SPLITS}
    return _classnames(rows, path), rows


def write(dataset: Dataset, path: Path) -> None:
    """Write a data set's splits as a split file, which keeps a split that was drawn."""
    splits = {
        split: [[item.id, item.label, dataset.classnames[item.label]] for item in items]
        for split, items in dataset.splits.items()
    }
    path.write_text(json.dumps(splits, indent=0), encoding="utf-8")


def find_images(folder: Path, split: str) -> str:
    """The folder, `.` or one below, that holds the pictures of a split file of unknown origin.

    It is the one with the first picture of most classes, for some classes may be missing.
    """
    data = _read_json(folder / split)
    rows = data.get("train") if isinstance(data, dict) else None
    first: dict[int, str] = {}
    for path, label, _ in _rows(rows or [], f"{folder / split}, train"):
        first.setdefault(label, path)
    inner = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))

    def held(images: str) -> int:
        root = folder / images
        return sum(exists(root / as_spelt(root, path)) for path in first.values())

    return max((".", *inner), key=held)


def _read_json(path: Path) -> object:
    try:
        return json.loads(read_text(path))
    except (OSError, ValueError, RecursionError) as error:
        raise DatasetError(
            f"cannot read the split file {path} ({why(error)}); fetch it again."
        ) from None


def _rows(listed: object, where: str) -> list[Row]:
    if not isinstance(listed, list):
        raise DatasetError(f"{where} is not a list of [path, label, class name]; write it so.")
    rows: list[Row] = []
    for index, entry in enumerate(listed):
        spot = f"{where} entry {index}"
        if not isinstance(entry, list) or len(entry) != 3:
            raise DatasetError(f"{spot} is not [path, label, class name]; write it so.")
        path, label, classname = entry
        if type(label) is not int or label < 0:  # True is an int too
            raise DatasetError(f"{spot}: the label {label!r} is not a whole number from 0 on.")
        if not is_plain(classname):
            raise DatasetError(f"{spot}: the class name {classname!r} is not one line of text.")
        rows.append((safe_id(path, spot), label, classname))
    return rows


def _classnames(rows: Mapping[str, Sequence[Row]], where: Path) -> tuple[str, ...]:
    names: dict[int, str] = {}
    for part in rows.values():
        for path, label, name in part:
            if names.setdefault(label, name) != name:
                raise DatasetError(
                    f"{where}: label {label} is called {names[label]!r} and, at {path}, {name!r}; "
                    "a class has one name."
                )
    gap = next((label for label in range(len(names)) if label not in names), None)
    if gap is not None:
        raise DatasetError(
            f"{where}: labels go up to {max(names)} but none is {gap}; number the classes from 0 "
            "without gaps."
        )
    return tuple(names[label] for label in range(len(names)))
