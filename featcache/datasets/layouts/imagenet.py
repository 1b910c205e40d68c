"""ImageNet itself (ILSVRC 2012): a folder a wnid; the published `val` is the test split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from featcache.datasets.dataset import PHOTO, Dataset
from featcache.datasets.layouts._wnids import classes_by_wnid, read_classes, read_wnids


def read(
    folder: Path, images: str, names: str, *, name: str, templates: Sequence[str] = PHOTO
) -> Dataset:
    """Read `images/train/<wnid>/` and, as test, `images/val/<wnid>/`; labels are ranks of wnids."""
    wnids = read_wnids(folder / names)
    label = {wnid: index for index, wnid in enumerate(wnids)}
    root = folder / images
    splits = {"train": read_classes(root, "train", label), "test": read_classes(root, "val", label)}
    return classes_by_wnid(root, wnids, splits, name=name, templates=templates)
