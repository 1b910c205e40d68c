"""What ImageNet and its variants share: classes by wnid, class folders, and test pictures alone.

`classnames.txt` has one `<wnid> <name>` a line. Names are not unique (two missiles, two
sunglasses), so classes are told apart by wnid. Files are read in the order of their names; CoOp
takes the order of the file system, so that its own ImageNet draws depend on the machine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from featcache.datasets.checks import checked
from featcache.datasets.dataset import Dataset, Item
from featcache.datasets.layouts._class_folders import class_folders, pictures_in
from featcache.datasets.layouts._lists import read_lines
from featcache.errors import DatasetError


def read_wnids(path: Path) -> dict[str, str]:
    """Class names by wnid, in the order of the wnids; DatasetError for a line that gives none."""
    wnids: dict[str, str] = {}
    for line in read_lines(path):
        wnid, _, name = line.partition(" ")
        if not re.fullmatch(r"n\d{8}", wnid) or not name or wnid in wnids:
            raise DatasetError(f"{path}: the line {line!r} is not a new '<wnid> <name>'; mend it.")
        wnids[wnid] = name
    return dict(sorted(wnids.items()))


def test_only(
    root: Path,
    label: Mapping[str, int],
    wnids: Mapping[str, str],
    *,
    name: str,
    templates: Sequence[str],
) -> Dataset:
    """A data set whose class folders in `root` are all for test.

    `label` is that of each folder, `wnids` are the classes with their names, in label order.
    """
    splits = {"test": read_classes(root, ".", label)}
    return checked(classes_by_wnid(wnids, splits, name=name, templates=templates), root)


def classes_by_wnid(
    wnids: Mapping[str, str],
    splits: Mapping[str, tuple[Item, ...]],
    *,
    name: str,
    templates: Sequence[str],
) -> Dataset:
    """A data set that tells its classes apart by wnid."""
    names, ids = tuple(wnids.values()), tuple(wnids)
    return Dataset(name, names, splits, tuple(templates), class_ids=ids)


def read_classes(root: Path, part: str, label: Mapping[str, int]) -> tuple[Item, ...]:
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
