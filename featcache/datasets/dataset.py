"""What is encoded: classes, and pictures in fixed order, split by split."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SPLITS = ("train", "val", "test")
PHOTO = ("a photo of a {}.",)  # the templates of a set that has none of its own


Box = tuple[float, float, float, float]  # left, top, right, bottom, in pixels


class Picture(Protocol):
    """A picture that is not a file: anything that can be pickled and gives its pixels."""

    def pixels(self) -> NDArray[np.uint8]:
        """The picture, uint8 `[h, w, 3]`, RGB."""
        ...


@runtime_checkable
class Stored(Protocol):
    """A picture whose bytes lie within a larger file: a member of an archive, a cell of a table.

    It can be pickled, and changes with the file that holds it alone.
    """

    @property
    def file(self) -> Path:
        """The file that holds it."""
        ...

    def read(self) -> bytes:
        """The bytes. Raises `OSError` or `PictureError` where they cannot be had."""
        ...


Source = Path | Picture | Stored


@dataclass(frozen=True, slots=True)
class Item:
    """One picture of a split: its id (path below the root, with `/`), source and label.

    Of a picture with a `box` only what lies in it is meant, in pixels of the picture as it is
    decoded (EXIF orientation ignored); the id then ends with the box.
    """

    id: str
    source: Source
    label: int
    box: Box | None = None


@dataclass(frozen=True)
class Dataset:
    """Classes in label order and the pictures of each split in list order.

    `templates` hold `{}` where the class name goes. `flip` says whether a mirrored picture
    still shows its class (it does not for digits). Split names are those of `SPLITS`; a split
    may be absent. `notes` are sentences on what people should know of how it was read.
    `class_ids` tell classes apart where names do not, such as ImageNet's by wnid; empty if the
    names do. They are no part of the fingerprint, for they change no row.

    A set of problems has other splits, and `problems` pictures on each side of one: problem i of
    n a side is the rows `2 n i … 2 n (i + 1) - 1`, those that share the concept first, the query
    last on either side. The label of all of them is the problem's concept.
    """

    name: str
    classnames: tuple[str, ...]
    splits: Mapping[str, tuple[Item, ...]]
    templates: tuple[str, ...] = PHOTO
    flip: bool = True
    notes: tuple[str, ...] = ()
    class_ids: tuple[str, ...] = ()
    problems: int = 0

    @cached_property
    def fingerprint(self) -> str:
        """Hash of class names, ids, labels, boxes and order: what decides which row is what."""
        digest = hashlib.sha256()
        if self.problems:
            digest.update(f"\2{self.problems}\0".encode())
        for name in self.classnames:
            digest.update(f"{name}\0".encode())
        for split in sorted(self.splits):
            digest.update(f"\1{split}\0".encode())
            for item in self.splits[split]:
                digest.update(f"{item.id}\0{item.label}\0".encode())
                if item.box is not None:
                    digest.update(f"\3{tuple(map(float, item.box))}\0".encode())
        return digest.hexdigest()[:16]
