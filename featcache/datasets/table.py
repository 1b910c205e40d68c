"""The data sets known by name: the rows of `data/datasets.json`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from featcache.datasets.checks import exists
from featcache.datasets.dataset import SPLITS
from featcache.resources import data_path


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """A named set: where it lies, how large its published splits are, and how it is read.

    `folder` below the root, None for a world, which is made and needs no files; `marker` is the
    file in it that says what is what (or several, parted by `|`, one of which is there), `images`
    the folder in it that the pictures' ids start from. `pictures` counts a set that is published
    without splits, `family` is the name that the domains of a set have together. `targets` and
    `transfers` are explained in `featcache.targets`.
    """

    name: str
    folder: str | None
    classes: int
    train: int | None
    val: int | None
    test: int | None
    description: str
    reader: str
    images: str
    marker: str
    templates: tuple[str, ...]
    aliases: tuple[str, ...]
    targets: tuple[str, ...] = ()
    transfers: tuple[str, ...] = ()
    pictures: int | None = None
    family: str = ""

    def marker_in(self, folder: Path) -> str:
        """The file in a folder that says what is what; empty where there is none."""
        return next((name for name in self.marker.split("|") if exists(folder / name)), "")

    @property
    def spellings(self) -> frozenset[str]:
        """All names it answers to, in lower case and without punctuation."""
        return frozenset(map(bare, (self.name, self.folder or "", *self.aliases))) - {""}

    @property
    def sizes(self) -> dict[str, int]:
        """Number of pictures of each split that it has."""
        sizes = zip(SPLITS, (self.train, self.val, self.test), strict=True)
        return {split: size for split, size in sizes if size is not None}


@cache
def names() -> tuple[DatasetInfo, ...]:
    """Every named data set, the published ones first."""
    table = json.loads(data_path("datasets.json").read_text(encoding="utf-8"))
    return tuple(DatasetInfo(**{key: _frozen(row[key]) for key in row}) for row in table)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def named(name: str) -> DatasetInfo | None:
    """The row that answers to a name in any spelling; None for a path or an unknown name."""
    if re.search(r"[/\\]|^[.~]", name):  # a path
        return None
    return next((info for info in names() if bare(name) in info.spellings), None)


def family(name: str) -> tuple[DatasetInfo, ...]:
    """The domains of a set by the name that they have together, in any spelling; or none."""
    if re.search(r"[/\\]|^[.~]", name):  # a path
        return ()
    return tuple(info for info in names() if info.family and bare(info.family) == bare(name))


def bare(text: str) -> str:
    """A name in lower case and without punctuation."""
    return re.sub(r"[^a-z0-9]", "", text.lower())
