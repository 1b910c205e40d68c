"""Hugging Face's safetensors: arrays of numbers, with text as JSON in the file's metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

SUFFIXES = (".safetensors",)


def load(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of the file and of its metadata."""
    with safe_open(path, "numpy") as file:
        named = {key: np.array(json.loads(text)) for key, text in (file.metadata() or {}).items()}
        return {**named, **{key: file.get_tensor(key) for key in file.keys()}}  # noqa: SIM118


def save(path: Path, arrays: Mapping[str, NDArray[Any]], named: Mapping[str, list[Any]]) -> None:
    """Write arrays, and text as metadata."""
    save_file(dict(arrays), path, {key: json.dumps(value) for key, value in named.items()})
