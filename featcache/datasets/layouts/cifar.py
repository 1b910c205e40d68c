"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009), in the version for Python or the binary one.

The first is what torchvision keeps too; it is pickled, and nothing that it names is run (`_inert`).
Pictures have no files of their own: they are taken as they stand there, 32 by 32. Of CIFAR-100 the
fine classes are taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from featcache.datasets.checks import checked, is_plain
from featcache.datasets.dataset import PHOTO, Dataset, Item
from featcache.datasets.layouts import _inert
from featcache.datasets.layouts._lists import read_lines, why
from featcache.errors import DatasetError

SIDE = 32
PIXELS = 3 * SIDE * SIDE
BATCHES = tuple(f"data_batch_{n}" for n in range(1, 6))
# By the file that has the class names: the files of train and of test.
FILES = {
    "batches.meta": (BATCHES, "test_batch"),
    "meta": (("train",), "test"),
    "batches.meta.txt": (tuple(f"{name}.bin" for name in BATCHES), "test_batch.bin"),
    "fine_label_names.txt": (("train.bin",), "test.bin"),
}
Rows = tuple[NDArray[np.uint8], Sequence[int]]  # values [n, 3072] and labels


@dataclass(frozen=True, slots=True)
class Small:
    """A picture of CIFAR by its values: planes of red, green and blue."""

    values: bytes

    def pixels(self) -> NDArray[np.uint8]:
        """The picture, uint8 `[32, 32, 3]`."""
        planes = np.frombuffer(self.values, np.uint8).reshape(3, SIDE, SIDE)
        return np.ascontiguousarray(planes.transpose(1, 2, 0))


def read(
    folder: Path, images: str, names: str, *, name: str, templates: Sequence[str] = PHOTO
) -> Dataset:
    """Read the files beside `folder/names`, which has the class names.

    Raises DatasetError for files that are missing or not as they were published.
    """
    where = folder / names
    train, test = FILES[where.name]
    try:
        classes = _classes(where)
        parts = {"train": [_rows(where.with_name(file)) for file in train]}
        parts["test"] = [_rows(where.with_name(test))]
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"cannot read {name} in {where.parent} ({why(error)}); unpack the published archive "
            "again."
        ) from None
    splits = {split: _items(split, rows, len(classes), where) for split, rows in parts.items()}
    return checked(Dataset(name, classes, splits, tuple(templates)), where.parent)


def _items(split: str, parts: Sequence[Rows], classes: int, where: Path) -> tuple[Item, ...]:
    rows = [row for values, labels in parts for row in zip(values, labels, strict=True)]
    for _, label in rows:
        if type(label) is not int or not 0 <= label < classes:
            raise DatasetError(
                f"{where.parent}: a {split} picture has the class {label!r} of {classes}; unpack "
                "the published archive again."
            )
    return tuple(
        Item(f"{split}/{number:05d}", Small(values.tobytes()), label)
        for number, (values, label) in enumerate(rows)
    )


def _classes(where: Path) -> tuple[str, ...]:
    if where.suffix == ".txt":
        return tuple(read_lines(where))
    held = _inert.read(where)
    names = held.get("fine_label_names", held.get("label_names"))
    if not isinstance(names, list) or not names or not all(map(is_plain, names)):
        raise ValueError(f"{where.name} has no class names")
    return tuple(names)


def _rows(file: Path) -> Rows:
    """Values and labels of a file. Raises OSError or ValueError where it is no such file."""
    if file.suffix == ".bin":
        before = 2 if file.stem in ("train", "test") else 1  # bytes: the coarse label, the label
        raw = np.fromfile(file, np.uint8)
        if not raw.size or raw.size % (before + PIXELS):
            raise ValueError(f"{file.name} has {raw.size:,} bytes, no whole number of pictures")
        table = raw.reshape(-1, before + PIXELS)
        return table[:, before:], table[:, before - 1].tolist()
    held = _inert.read(file)
    values, labels = held.get("data"), held.get("fine_labels", held.get("labels"))
    if not isinstance(values, np.ndarray) or values.ndim != 2 or values.shape[1] != PIXELS:
        raise ValueError(f"{file.name} has no pictures of {PIXELS} values")
    if not isinstance(labels, list) or len(labels) != len(values):
        raise ValueError(f"{file.name} has not one class a picture")
    return values, labels
