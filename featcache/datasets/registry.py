"""Data sets by name or folder: the table of `data/datasets.json`, and who reads what."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from json import loads
from pathlib import Path

from featcache.datasets import coop, folders, imagenet
from featcache.datasets.checks import exists, slug
from featcache.datasets.dataset import SPLITS, Dataset, Item, Picture
from featcache.errors import DatasetError, UnknownNameError
from featcache.resources import data_path

SHAPES_SEED = 1


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """A named set: where it lies, how large its published splits are, and how it is read.

    `folder` below the root, None for a set that is made and needs no files; `marker` is the file
    in it that says what is what, `images` the folder in it that the pictures' ids start from.
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

    @property
    def spellings(self) -> frozenset[str]:
        """All names it answers to, in lower case and without punctuation."""
        return frozenset(map(_bare, (self.name, self.folder or "", *self.aliases))) - {""}

    @property
    def sizes(self) -> dict[str, int]:
        """Number of pictures of each split that it has."""
        sizes = zip(SPLITS, (self.train, self.val, self.test), strict=True)
        return {split: size for split, size in sizes if size is not None}


@cache
def names() -> tuple[DatasetInfo, ...]:
    """Every named data set, the published ones first."""
    table = loads(data_path("datasets.json").read_text(encoding="utf-8"))
    for row in table:
        row.update(templates=tuple(row["templates"]), aliases=tuple(row["aliases"]))
    return tuple(DatasetInfo(**row) for row in table)


def load(name_or_path: str, root: Path | None = None) -> Dataset:
    """Load a named data set, or one's own folder: split file of CoOp's layout, or class folders.

    `root` is the folder above the set's own or that folder itself; without it, FEATCACHE_DATA
    says. Raises UnknownNameError for a name that is none, DatasetError for data that is not as
    it should be.
    """
    info = _named(name_or_path)
    if info is None:
        return _load_folder(name_or_path)
    if info.folder is None:
        return _MADE[info.reader](info)
    if root is None and os.environ.get("FEATCACHE_DATA"):
        root = Path(os.environ["FEATCACHE_DATA"])
    if root is None:
        raise DatasetError(
            f"{info.name} is read from files; say with --root or FEATCACHE_DATA which folder "
            f"holds {info.folder}/."
        )
    return _read(info, _locate(info, root.expanduser()))


def _bare(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _named(name: str) -> DatasetInfo | None:
    if re.search(r"[/\\]|^[.~]", name):  # a path
        return None
    return next((info for info in names() if _bare(name) in info.spellings), None)


def _read(info: DatasetInfo, folder: Path) -> Dataset:
    reader = _READERS[info.reader]
    return reader(folder, info.images, info.marker, name=info.name, templates=info.templates)


def _locate(info: DatasetInfo, root: Path) -> Path:
    inner = root / (info.folder or "")
    for folder in (inner, root):
        if exists(folder / info.marker):
            return folder
    if not root.is_dir():
        raise DatasetError(f"there is no folder {root}; give the one that holds {info.folder}/.")
    raise DatasetError(
        f"{info.name} needs {info.marker}, which is neither in {inner} nor in {root}; put the data "
        "there as CoOp's DATASETS.md describes, or give another root."
    )


def _load_folder(path: str) -> Dataset:
    folder = Path(path).expanduser()
    if not path or not folder.is_dir():
        if re.search(r"[/\\]|^[.~]", path):
            raise DatasetError(f"there is no folder {folder}; check the path.")
        known = [info.name for info in names()]
        raise UnknownNameError("data set", path, known, "Or give the path of a folder.")
    own = slug(folder.resolve().name)
    for info in names():
        # A published set keeps its name and templates, whichever way it is found.
        ours = info.marker.startswith("split_") or _bare(own) in info.spellings
        if info.folder and ours and exists(folder / info.marker):
            return _read(info, folder)
    found = sorted(file.name for file in folder.glob("split_zhou_*.json"))
    if len(found) > 1:
        raise DatasetError(f"{folder} holds {' and '.join(found)}; keep one split file.")
    if found:
        return coop.read_coop(folder, coop.find_images(folder, found[0]), found[0], name=own)
    return folders.read_folders(folder, name=own)


def _digits(info: DatasetInfo) -> Dataset:
    from featcache.datasets.digits import read_digits

    return read_digits(info.name, info.templates)


def _shapes(info: DatasetInfo) -> Dataset:
    from featcache.datasets import shapes

    style = info.name.partition("-")[2] or "clean"
    splits = {
        split: shapes.scenes(style, SHAPES_SEED, split, size // info.classes)
        for split, size in info.sizes.items()
    }
    return Dataset(info.name, shapes.CLASSES, _items(splits), info.templates)


def _pairs(info: DatasetInfo) -> Dataset:
    from featcache.datasets import shapes

    splits = {split: shapes.pairs(SHAPES_SEED, split, n) for split, n in info.sizes.items()}
    # No flip: a mirrored picture swaps left and right.
    return Dataset(info.name, shapes.RELATIONS, _items(splits), info.templates, flip=False)


def _items(splits: Mapping[str, Iterable[tuple[str, Picture, int]]]) -> dict[str, tuple[Item, ...]]:
    return {split: tuple(Item(*row) for row in rows) for split, rows in splits.items()}


_READERS: dict[str, Callable[..., Dataset]] = {
    "coop": coop.read_coop,
    "aircraft": coop.read_aircraft,
    "imagenet": imagenet.read_imagenet,
    "wnids": imagenet.read_wnids,
    "own-wnids": imagenet.read_own_wnids,
    "numbers": imagenet.read_numbers,
}
_MADE: dict[str, Callable[[DatasetInfo], Dataset]] = {
    "digits": _digits,
    "shapes": _shapes,
    "pairs": _pairs,
}
