"""CUB-200-2011's own text files (Wah et al. 2011): birds by species, for train and test.

A line of each file has a picture's number and its path, class number or whether it is for
training; `classes.txt` names the classes. The boxes, parts and attributes beside are not read.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from featcache.datasets.checks import safe_id
from featcache.datasets.dataset import PHOTO, SPLITS, Dataset
from featcache.datasets.layouts._class_names import class_names
from featcache.datasets.layouts._lists import Row, assemble, read_lines
from featcache.errors import DatasetError

CLASSES, LABELS, DIVISION = "classes.txt", "image_class_labels.txt", "train_test_split.txt"


def read(
    folder: Path, images: str, split: str, *, name: str, templates: Sequence[str] = PHOTO
) -> Dataset:
    """Read the files beside `folder/split`, which has the pictures' paths below `folder/images`.

    Raises DatasetError for a file that is missing, or numbers a picture or class that others lack.
    """
    classes, rows = listed(folder, split)
    return assemble(name, folder / images, classes, rows, folder / split, templates)


def listed(folder: Path, split: str) -> tuple[tuple[str, ...], dict[str, list[Row]]]:
    """The classes and the rows of each split, as `read` has them; no picture need be there."""
    paths, named = _numbered(folder / split), _numbered(folder / CLASSES)
    labels, division = _numbered(folder / LABELS), _numbered(folder / DIVISION)
    names = class_names(list(named.values()))
    place = {number: label for label, number in enumerate(named)}
    rows: dict[str, list[Row]] = {part: [] for part in SPLITS}
    for number, path in paths.items():
        label = place.get(labels.get(number, ""))
        part = {"1": "train", "0": "test"}.get(division.get(number, ""))
        if label is None or part is None:
            lacks = LABELS if label is None else DIVISION
            raise DatasetError(f"{folder / lacks} says nothing valid of picture {number}; mend it.")
        rows[part].append((safe_id(path, str(folder / split)), label, names[label]))
    return names, rows


def _numbered(path: Path) -> dict[str, str]:
    """What stands after the number of each line, by that number."""
    held: dict[str, str] = {}
    for line in read_lines(path):
        number, _, rest = line.partition(" ")
        if not number.isdigit() or not rest or number in held:
            raise DatasetError(
                f"{path}: the line {line!r} is not a new '<number> <text>'; mend it."
            )
        held[number] = rest.strip()
    return held
