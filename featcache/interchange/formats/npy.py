"""NumPy's file of one array, without pickles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featcache.interchange.naming import BARE
from featcache.interchange.safe import LARGE, check_npy

SUFFIXES = (".npy",)


def load(path: Path) -> dict[str, NDArray[Any]]:
    """The array of the file, which has no name. Raises `ImportRefusedError` for a pickle."""
    check_npy(path)
    mapped: Any = "r" if path.stat().st_size >= LARGE else None
    return {BARE: np.load(path, mapped, allow_pickle=False)}


def save(path: Path, arrays: Mapping[str, NDArray[Any]], named: Mapping[str, list[Any]]) -> None:
    """Write the one array. Raises `ValueError` for several, and for objects."""
    if named or len(arrays) != 1:
        raise ValueError("an .npy file holds one array and no text beside it.")
    (array,) = arrays.values()
    with path.open("wb") as file:  # of a path NumPy would make one with its own suffix
        np.save(file, array, allow_pickle=False)
