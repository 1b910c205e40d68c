"""FGVC-Aircraft's own lists (Maji et al. 2013): a file a split, a picture a line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from featcache.datasets.checks import safe_id
from featcache.datasets.dataset import PHOTO, SPLITS, Dataset
from featcache.datasets.layouts._lists import Row, assemble, read_lines
from featcache.errors import DatasetError


def read(
    folder: Path, images: str, split: str, *, name: str, templates: Sequence[str] = PHOTO
) -> Dataset:
    """Read the lists of each split in `folder`; `split` names the variants, label by label.

    Raises DatasetError for a list that is missing or names a variant that is not in `split`.
    """
    variants, rows = listed(folder, split)
    return assemble(name, folder / images, variants, rows, folder / split, templates)


def listed(folder: Path, split: str) -> tuple[tuple[str, ...], dict[str, list[Row]]]:
    """The variants and the rows of each split, as `read` has them; no picture need be there."""
    variants = read_lines(folder / split)
    label = {variant: index for index, variant in enumerate(variants)}
    rows: dict[str, list[Row]] = {}
    for part in SPLITS:
        path = folder / f"images_variant_{part}.txt"
        rows[part] = []
        for line in read_lines(path):
            # An id such as 0034309 is text: its zeros belong to the file name.
            picture, _, variant = line.partition(" ")
            if variant not in label:
                raise DatasetError(f"{path}: the variant of {line!r} is not in {split}; add it.")
            id_ = safe_id(f"{picture}.jpg", str(path))
            rows[part].append((id_, label[variant], variant))
    return tuple(variants), rows
