"""ImageNet-A and -R: wnid folders for test, labels their rank among the folders that exist."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from featcache.datasets.dataset import PHOTO, Dataset
from featcache.datasets.layouts._class_folders import class_folders
from featcache.datasets.layouts._wnids import read_wnids, test_only


def read(
    folder: Path, images: str, names: str, *, name: str, templates: Sequence[str] = PHOTO
) -> Dataset:
    """Read the folders `images/<wnid>/`; only classes that have one are classes."""
    wnids = read_wnids(folder / names)
    root = folder / images
    own = [wnid for wnid in class_folders(root, root) if wnid in wnids]
    label = {wnid: index for index, wnid in enumerate(own)}
    named = {wnid: wnids[wnid] for wnid in own}
    return test_only(root, label, named, name=name, templates=templates)
