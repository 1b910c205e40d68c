"""NumPy's zip of arrays, without pickles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SUFFIXES = (".npz",)


def load(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of the file; a pickle among them is refused."""
    with np.load(path, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def save(path: Path, arrays: Mapping[str, NDArray[Any]], named: Mapping[str, list[Any]]) -> None:
    """Write arrays, and text as arrays of strings."""
    texts = {key: np.array(value) for key, value in named.items()}
    with path.open("wb") as file:  # of a path NumPy would make one with its own suffix
        np.savez(file, allow_pickle=False, **arrays, **texts)
