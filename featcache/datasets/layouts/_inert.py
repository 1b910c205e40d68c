"""Pickled dictionaries of byte arrays and lists, read without running anything that they name.

A pickle names what is to be called. Here all names are refused but those that make a NumPy array,
and these stand for recorders, which only note what they are given.
"""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = 2**28  # bytes of a file; CIFAR's largest has 155 MB
NAMES = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
}


def read(path: Path) -> dict[str, Any]:
    """A pickled dictionary; its keys, and strings in its lists, as text.

    Raises OSError where there is no such file, and ValueError for one that is no such pickle.
    """
    if path.stat().st_size > LARGEST:
        raise ValueError(f"it has more than {LARGEST:,} bytes")
    try:
        with path.open("rb") as file:
            found = _Inert(file, encoding="bytes").load()
    except OSError:
        raise
    except Exception as error:  # a damaged pickle raises almost anything
        raise ValueError(str(error) or type(error).__name__) from None
    if not isinstance(found, dict):
        raise ValueError("it is no dictionary")
    return {str(_plain(key)): _plain(value) for key, value in found.items()}


class _Recorded:
    """What would be an array or its type: the arguments and the state that the file gives it."""

    def __init__(self, *given: Any) -> None:
        self.given = given
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Inert(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in NAMES:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is not run")
        return _Recorded


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, list):
        return [
            each.decode("utf-8", "replace") if isinstance(each, bytes) else each for each in value
        ]
    return _array(value) if isinstance(value, _Recorded) else value


def _array(recorded: _Recorded) -> NDArray[np.uint8]:
    match recorded.state:
        case (int(), tuple(shape), _Recorded(given=(b"u1" | "u1", *_)), False, bytes(content)):
            whole = all(type(size) is int and size >= 0 for size in shape)
            if whole and math.prod(shape) == len(content):
                return np.frombuffer(content, np.uint8).reshape(shape)
    raise ValueError("it holds an array that is not of bytes in rows")
