"""Cache entries whose classes lie where their names say, so that one set's classifier can be asked
of another: sets with all, some or other classes, with ids, for test alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from featcache import Entry, FeatureCache, import_features
from featcache.store.entry import reload
from featcache.store.writing import amend
from tests.entries import NARROW

WIDTH = 16
SPLITS = {"train": 8, "val": 4, "test": 6}  # pictures a class
TEST = {"test": 6}
BIRDS = ("crow", "duck", "emu", "finch", "gull")
FISH = ("bass", "carp", "eel")


def meadow(
    folder: Path,
    name: str = "birds",
    classnames: Sequence[str] = BIRDS,
    splits: Mapping[str, int] = SPLITS,
    *,
    ids: Sequence[str] = (),
    noise: float = 0.5,
    backbone: str = NARROW,
    weights: str | None = None,
    width: int = WIDTH,
) -> Entry:
    """An entry of the cache in `folder`; a class lies around an axis that its id or name gives."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(_number(name))
    centre = np.stack([axis(each, width) for each in ids or classnames])
    arrays: dict[str, NDArray[np.generic]] = {"classnames": np.array(classnames)}
    for split, rows in splits.items():
        labels = np.tile(np.arange(len(classnames)), rows)
        prefix = "image" if split == "pool" else split
        x = centre[labels] + noise * rng.normal(size=(len(labels), width))
        arrays[f"{prefix}_features"] = x.astype("f4")
        arrays["labels" if split == "pool" else f"{split}_labels"] = labels
    near = centre[:, None] + 0.3 * rng.normal(size=(len(centre), 2, width))
    arrays["text_features"] = near.astype("f4")
    arrays["prompts"] = np.array([[f"a {c}.", f"the {c}."] for c in classnames])
    np.savez(folder / f"{name}.npz", **arrays)
    cache = FeatureCache(folder / "cache")
    entry = import_features([folder / f"{name}.npz"], name, backbone, cache)
    with amend(entry) as manifest:
        if ids:
            manifest["dataset"]["class_ids"] = list(ids)
        if weights:
            manifest["backbone"]["fingerprint"] = weights
    return reload(entry)


def axis(name: str, width: int = WIDTH) -> NDArray[np.float64]:
    """A unit vector that the name alone decides."""
    x = np.random.default_rng(_number(name)).normal(size=width)
    found: NDArray[np.float64] = x / np.linalg.norm(x)
    return found


def _number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
