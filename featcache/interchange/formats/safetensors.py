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

SUFFIXES = (".safetensors",)
TEXT = "featcache"  # the only entry of the metadata, as the library writes several in any order


def load(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of the file and of its metadata."""
    with safe_open(path, "numpy") as file:
        named = {key: np.array(value) for key, value in _texts(file.metadata() or {}).items()}
        return {**named, **{key: file.get_tensor(key) for key in file.keys()}}  # noqa: SIM118


def save(path: Path, arrays: Mapping[str, NDArray[Any]], named: Mapping[str, list[Any]]) -> None:
    """Write arrays, and text as metadata; equal content gives equal bytes."""
    # Its own writing to files has errors of its own where the disk refuses.
    path.write_bytes(save_bytes(dict(arrays), {TEXT: json.dumps(dict(named))}))


def _texts(metadata: Mapping[str, str]) -> dict[str, list[Any]]:
    if TEXT in metadata:
        return dict(json.loads(metadata[TEXT]))
    # Files of earlier versions have an entry for each list; what others say there is none.
    return {key: json.loads(text) for key, text in metadata.items() if text.startswith("[")}
