"""ImageNetV2: folders for test whose names are the labels of ImageNet as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from featcache.datasets.dataset import PHOTO, Dataset
from featcache.datasets.layouts._wnids import read_wnids, test_only


def read(
    folder: Path, images: str, names: str, *, name: str, templates: Sequence[str] = PHOTO
) -> Dataset:
    """Read the folders `images/0/`, `images/1/` and so on."""
    wnids = read_wnids(folder / names)
    label = {str(index): index for index in range(len(wnids))}
    return test_only(folder / images, label, wnids, name=name, templates=templates)
