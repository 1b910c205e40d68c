"""What readers of class folders share: which folders there are, and the pictures in them."""

from __future__ import annotations

from pathlib import Path

from featcache.datasets.checks import visible
from featcache.errors import DatasetError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm")


def class_folders(folder: Path, root: Path) -> list[str]:
    """Names of the folders in a folder, sorted; DatasetError if there is none."""
    names = [entry.name for entry in visible(folder, root) if entry.is_dir()]
    if not names:
        raise DatasetError(f"{folder} holds no class folders; put each class into its own folder.")
    return names


def pictures_in(folder: Path, root: Path) -> list[str]:
    """Names of the picture files in a class folder, sorted; DatasetError if there is none."""
    names = [e.name for e in visible(folder, root) if e.name.lower().endswith(SUFFIXES)]
    if not names:
        raise DatasetError(
            f"the class folder {folder} holds no pictures ({', '.join(SUFFIXES)}); "
            "add some or remove it."
        )
    return names
