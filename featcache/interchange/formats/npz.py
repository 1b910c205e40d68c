"""NumPy's zip of arrays, without pickles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featcache.interchange.safe import check_npz

SUFFIXES = (".npz",)


def load(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of the file; a pickle among them is refused."""
    check_npz(path)
    with np.load(path, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def save(path: Path, arrays: Mapping[str, NDArray[Any]], named: Mapping[str, list[Any]]) -> None:
    """Write arrays, and text as arrays of strings. Raises `ValueError` for arrays of objects."""
    whole = {**arrays, **{key: np.array(value) for key, value in named.items()}}
    for key, array in whole.items():
        if array.dtype.hasobject:  # which NumPy would pickle; before 2.3 it cannot be told not to
            raise ValueError(f"{key} holds objects, which only a pickle could keep.")
    with path.open("wb") as file:  # of a path NumPy would make one with its own suffix
        np.savez(file, **whole)  # type: ignore[arg-type]  # no array is called allow_pickle
