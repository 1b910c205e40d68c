"""ImageNet-Sketch: wnid folders for test, labels those of ImageNet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from featcache.datasets.dataset import PHOTO, Dataset
from featcache.datasets.layouts._wnids import read_wnids, test_only


def read(
    folder: Path, images: str, names: str, *, name: str, templates: Sequence[str] = PHOTO
) -> Dataset:
    """Read the folders `images/<wnid>/`; a class without a folder stays a class."""
    wnids = read_wnids(folder / names)
    label = {wnid: index for index, wnid in enumerate(wnids)}
    return test_only(folder / images, label, wnids, name=name, templates=templates)
