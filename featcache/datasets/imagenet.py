"""ImageNet and its four variants: class folders, named by `classnames.txt`.

That file has one `<wnid> <name>` a line. Names are not unique (two missiles, two sunglasses), so
classes are told apart by wnid. Files are read in the order of their names; CoOp takes the order of
the file system, so that its own ImageNet draws depend on the machine.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from featcache.datasets.checks import checked
from featcache.datasets.coop import PHOTO, read_lines
from featcache.datasets.dataset import Dataset, Item
from featcache.datasets.folders import class_folders, pictures_in
from featcache.errors import DatasetError


def read_imagenet(
    folder: Path, images: str, names: str, *, name: str, templates: Sequence[str] = PHOTO
) -> Dataset:
    """ImageNet itself: `images/train/<wnid>/` and, as test, `images/val/<wnid>/`."""
    wnids = _read_wnids(folder / names)
    label = {wnid: index for index, wnid in enumerate(wnids)}
    root = folder / images
    splits = {"train": _read(root, "train", label), "test": _read(root, "val", label)}
    dataset = Dataset(name, tuple(wnids.values()), splits, tuple(templates))
    return checked(dataset, root)


def read_wnids(
    folder: Path, images: str, names: str, *, name: str, templates: Sequence[str] = PHOTO
) -> Dataset:
    """ImageNet-Sketch: wnid folders for test, labels those of ImageNet."""
    wnids = _read_wnids(folder / names)
    label = {wnid: index for index, wnid in enumerate(wnids)}
    return _test_only(folder / images, label, list(wnids.values()), name, templates)


def read_own_wnids(
    folder: Path, images: str, names: str, *, name: str, templates: Sequence[str] = PHOTO
) -> Dataset:
    """ImageNet-A and -R: wnid folders for test, labels their rank among the folders that exist."""
    wnids = _read_wnids(folder / names)
    root = folder / images
    own = [wnid for wnid in class_folders(root, root) if wnid in wnids]
    label = {wnid: index for index, wnid in enumerate(own)}
    return _test_only(root, label, [wnids[wnid] for wnid in own], name, templates)


def read_numbers(
    folder: Path, images: str, names: str, *, name: str, templates: Sequence[str] = PHOTO
) -> Dataset:
    """ImageNetV2: folders for test whose names are the labels of ImageNet as numbers."""
    wnids = _read_wnids(folder / names)
    label = {str(index): index for index in range(len(wnids))}
    return _test_only(folder / images, label, list(wnids.values()), name, templates)


def _test_only(
    root: Path, label: dict[str, int], classnames: list[str], name: str, templates: Sequence[str]
) -> Dataset:
    splits = {"test": _read(root, ".", label)}
    return checked(Dataset(name, tuple(classnames), splits, tuple(templates)), root)


def _read(root: Path, part: str, label: dict[str, int]) -> tuple[Item, ...]:
    """Pictures of the class folders in `root/part`, in label order; ids are paths below `root`."""
    top = root / part
    folders = class_folders(top, top)
    unknown = [folder for folder in folders if folder not in label]
    if unknown:
        raise DatasetError(f"{top / unknown[0]} is no class of classnames.txt; remove it.")
    prefix = "" if part == "." else f"{part}/"
    return tuple(
        Item(f"{prefix}{folder}/{file}", inner / file, label[folder])
        for folder in sorted(folders, key=label.__getitem__)
        for inner in (top / folder,)
        for file in pictures_in(inner, top)
    )


def _read_wnids(path: Path) -> dict[str, str]:
    """Class names by wnid, in the order of the wnids."""
    wnids: dict[str, str] = {}
    for line in read_lines(path):
        wnid, _, name = line.partition(" ")
        if not re.fullmatch(r"n\d{8}", wnid) or not name or wnid in wnids:
            raise DatasetError(f"{path}: the line {line!r} is not a new '<wnid> <name>'; mend it.")
        wnids[wnid] = name
    return dict(sorted(wnids.items()))
