"""Prompts and class vectors of strangers as text features `[c, p, d]` or `[c, d]`."""

from __future__ import annotations

from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featcache.errors import ImportRefusedError
from featcache.interchange.orientation import rows_first, whole_labels

Arrays = Mapping[str, NDArray[Any]]
LISTED = {"features", "labels"}  # a row for each prompt, with the class that it is of


def is_prompts(names: Set[str]) -> bool:
    """Whether arrays of these names are prompts one by one, as Cross-Modal keeps them."""
    return names >= {*LISTED, "prompts"} or names >= {*LISTED, "eot_indices"}


def read_text(path: Path, arrays: Arrays, classes: int) -> dict[str, NDArray[Any]]:
    """The text of a file of its own, whatever project made it.

    One array, `text_features`, or prompts one by one. Raises `ImportRefusedError` where none of
    its axes is of that many classes.
    """
    if arrays.keys() >= LISTED:
        return prompts_of(path, arrays)
    named = [key for key in arrays if "text" in key and arrays[key].dtype.kind == "f"]
    floats = named or [key for key in arrays if arrays[key].dtype.kind == "f" and arrays[key].ndim]
    if len(floats) != 1:
        raise ImportRefusedError(
            f"{path} holds {', '.join(arrays)}, of which no single one is text; give a file with "
            "text_features alone."
        )
    x = arrays[floats[0]]
    if x.ndim == 2:
        x, _ = rows_first(path, x, classes)
    beside = {key: arrays[key] for key in ("prompts",) if key in arrays}
    if x.ndim == 3 and len(x) == classes and not beside:  # classes first, where both could be
        names = [f"unknown prompt {i}" for i in range(x.shape[1])]
        beside = {"prompts": np.array([names] * classes)}
    return {"text_features": x, **beside}


def prompts_of(path: Path, arrays: Arrays) -> dict[str, NDArray[Any]]:
    """Prompts `[m, d]` with a class each as `[c, p, d]`, filled up where a class has fewer.

    Class names come along where the file has them. Raises `ImportRefusedError` where lengths
    disagree.
    """
    x, labels = arrays["features"], whole_labels(path, arrays["labels"])
    if x.ndim != 2 or len(x) != len(labels) or not len(x) or labels.dtype.kind not in "iu":
        raise ImportRefusedError(
            f"{path}: prompts are {list(x.shape)} and their classes {list(labels.shape)}."
        )
    fit = labels.min() >= 0 and labels.max() < len(labels)  # before anything is that long
    counts = np.bincount(labels) if fit else np.zeros(1, int)
    if not counts.all() or counts.max() * len(counts) > 100 * len(labels):
        raise ImportRefusedError(
            f"{path}: some class has no prompt, or one has far more than others; mend the file."
        )
    found = np.zeros((len(counts), counts.max(), x.shape[1]), x.dtype)
    lines = [[""] * int(counts.max()) for _ in counts]
    told = arrays.get("prompts", np.zeros(0))
    for label, count in enumerate(counts.tolist()):
        found[label, :count] = x[labels == label]
        texts = [f"unknown prompt {i}" for i in range(count)]
        if told.dtype.kind == "U" and told.ndim == 2 and len(told) == len(counts):
            mine = [text for text in told[label].tolist() if text]
            texts = mine if len(mine) == count else texts
        lines[label][:count] = texts
    arrays_found = {"text_features": found, "prompts": np.array(lines)}
    if "lab2cname" in arrays:
        arrays_found["classnames"] = arrays["lab2cname"]
    return arrays_found
