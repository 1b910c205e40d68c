"""ImageNet itself (ILSVRC 2012): a folder a wnid; the published `val` is the test split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from featcache.datasets.checks import checked
from featcache.datasets.dataset import PHOTO, Dataset
from featcache.datasets.layouts._wnids import classes_by_wnid, read_classes, read_wnids


def read(
    folder: Path,
    images: str,
    names: str,
    *,
    name: str,
    templates: Sequence[str] = PHOTO,
    some: bool = False,
) -> Dataset:
    """Read `images/train/<wnid>/` and, as test, `images/val/<wnid>/`; labels are ranks of wnids.

    With `some`, classes may lack training pictures.
    """
    wnids = read_wnids(folder / names)
    label = {wnid: index for index, wnid in enumerate(wnids)}
    root = folder / images
    splits = {"train": read_classes(root, "train", label), "test": read_classes(root, "val", label)}
    dataset = classes_by_wnid(wnids, splits, name=name, templates=templates)
    return dataset if some else checked(dataset, root)
