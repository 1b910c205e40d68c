"""Small cache entries on disk, made through the public import door."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from featcache import Entry, FeatureCache, import_features
from featcache.store import shard
from featcache.store.entry import reload
from featcache.store.writing import amend

NARROW = "hf-hub:made/narrow"  # a backbone whose width only itself knows
SPLITS = {"train": 30, "val": 15, "test": 21}
CLASSES, WIDTH, PROMPTS = 3, 8, 2


def arrays(splits: Mapping[str, int] = SPLITS, seed: int = 0) -> dict[str, np.ndarray]:
    """Three classes around their own axes, eight wide, two prompts a class."""
    rng = np.random.default_rng(seed)
    centre = np.eye(CLASSES, WIDTH)
    found: dict[str, np.ndarray] = {"classnames": np.array(["cat", "dog", "emu"])}
    for split, rows in splits.items():
        labels = np.arange(rows) % CLASSES
        x = (centre[labels] + 0.3 * rng.normal(size=(rows, WIDTH))).astype(np.float16)
        prefix = "image" if split == "pool" else split
        found[f"{prefix}_features"] = x
        found["labels" if split == "pool" else f"{split}_labels"] = labels
    text = centre[:, None] + 0.2 * rng.normal(size=(CLASSES, PROMPTS, WIDTH))
    found["text_features"] = text.astype(np.float16)
    found["prompts"] = np.array(["a photo of a {}.", "a sketch of a {}."])
    return found


def make_entry(
    folder: Path,
    splits: Mapping[str, int] = SPLITS,
    bad: Mapping[str, Sequence[int]] | None = None,
    name: str = "animals",
) -> Entry:
    """A cache entry below `folder`, with the given rows marked unreadable."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "features.npz"
    np.savez(path, **arrays(splits))
    entry = import_features([path], name, NARROW, FeatureCache(folder / "cache"))
    for split, rows in (bad or {}).items():
        name = f"images-{split}-00000.h5"
        content = shard.read(entry.folder / name)
        content["valid"][list(rows)] = False
        written = shard.write(entry.folder / name, content)
        with amend(entry) as manifest:
            manifest["shards"][name] |= asdict(written)
    return reload(entry)
