"""Hugging Face's safetensors: arrays of numbers, with text as JSON in the file's metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save as save_bytes

from featcache.interchange.safe import LARGE

SUFFIXES = (".safetensors",)
FLOATS = {"F16": "<f2", "F32": "<f4", "F64": "<f8"}
TEXT = "featcache"  # the only entry of the metadata, as the library writes several in any order


def load(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of the file and of its metadata."""
    with safe_open(path, "numpy") as file:
        named = {key: np.array(value) for key, value in _texts(file.metadata() or {}).items()}
        large = _mapped(path)
        return {
            **named,
            **{key: large[key] if key in large else file.get_tensor(key) for key in file.keys()},  # noqa: SIM118
        }


def _mapped(path: Path) -> dict[str, NDArray[Any]]:
    """The large arrays of floating numbers, without taking memory for them.

    The library has looked at the head before, which says of what type each is and where it lies.
    """
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        head = json.loads(file.read(size))
    found: dict[str, NDArray[Any]] = {}
    for key, each in head.items():
        start, stop = each.get("data_offsets", (0, 0))
        if stop - start >= LARGE and each["dtype"] in FLOATS:
            dtype, shape = FLOATS[each["dtype"]], tuple(each["shape"])
            found[key] = np.memmap(path, dtype, "r", 8 + size + start, shape)
    return found


def save(path: Path, arrays: Mapping[str, NDArray[Any]], named: Mapping[str, list[Any]]) -> None:
    """Write arrays, and text as metadata; equal content gives equal bytes."""
    # Its own writing to files has errors of its own where the disk refuses.
    path.write_bytes(save_bytes(dict(arrays), {TEXT: json.dumps(dict(named))}))


def _texts(metadata: Mapping[str, str]) -> dict[str, list[Any]]:
    if TEXT in metadata:
        return dict(json.loads(metadata[TEXT]))
    # Files of earlier versions have an entry for each list; what others say there is none.
    return {key: json.loads(text) for key, text in metadata.items() if text.startswith("[")}
