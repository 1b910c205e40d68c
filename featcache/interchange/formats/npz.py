"""NumPy's zip of arrays, without pickles."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featcache.interchange.safe import LARGE, check_npz

SUFFIXES = (".npz",)
HEAD = 30  # bytes of a member's head before its name


def load(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of the file; a pickle among them is refused."""
    check_npz(path)
    large = _mapped(path)
    with np.load(path, allow_pickle=False) as file:
        return {key: large[key] if key in large else file[key] for key in file.files}


def save(path: Path, arrays: Mapping[str, NDArray[Any]], named: Mapping[str, list[Any]]) -> None:
    """Write arrays, and text as arrays of strings. Raises `ValueError` for arrays of objects."""
    whole = {**arrays, **{key: np.array(value) for key, value in named.items()}}
    for key, array in whole.items():
        if array.dtype.hasobject:  # which NumPy would pickle; before 2.3 it cannot be told not to
            raise ValueError(f"{key} holds objects, which only a pickle could keep.")
    with path.open("wb") as file:  # of a path NumPy would make one with its own suffix
        np.savez(file, **whole)  # type: ignore[arg-type]  # no array is called allow_pickle


def _mapped(path: Path) -> dict[str, NDArray[Any]]:
    """The large arrays that lie in the archive as they are, without taking memory for them.

    Their sums are looked at here, as the archive does when it is read. Raises `BadZipFile`.
    """
    found: dict[str, NDArray[Any]] = {}
    with zipfile.ZipFile(path) as archive, path.open("rb") as plain:
        for each in archive.infolist():
            if each.compress_type != zipfile.ZIP_STORED or each.file_size < LARGE:
                continue
            with archive.open(each) as file:
                while file.read(1 << 20):
                    pass
            # Its head is named and padded anew where the array begins.
            plain.seek(each.header_offset)
            name, more = struct.unpack("<HH", plain.read(HEAD)[-4:])
            plain.seek(each.header_offset + HEAD + name + more)
            fmt: Any = np.lib.format
            version = fmt.read_magic(plain)
            read = fmt.read_array_header_1_0 if version == (1, 0) else fmt.read_array_header_2_0
            shape, turned, dtype = read(plain)
            found[each.filename.removesuffix(".npy")] = np.memmap(
                path, dtype, "r", plain.tell(), shape, "F" if turned else "C"
            )
    return found
