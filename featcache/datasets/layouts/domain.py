"""One domain of a published folder of domains: class folders, divided as one's own are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from featcache.datasets.dataset import PHOTO, Dataset
from featcache.datasets.layouts import folders


def read(
    folder: Path, images: str, marker: str, *, name: str, templates: Sequence[str] = PHOTO
) -> Dataset:
    """Read the class folders of `folder/images`; `marker` is one of them.

    The publishers give no division of a domain that keeps its test apart from its training
    pictures, so it is divided by `featcache.datasets.division`.
    """
    return replace(folders.read(folder / images, name=name), templates=tuple(templates))
