"""A folder of small pictures on disk, each of noise of its own, that a test may change."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import Image

from featcache import load_dataset
from featcache.datasets.dataset import Dataset


def paint(path: Path, seed: int) -> Path:
    """A picture that no other seed has, whose file seems to have been there for a while."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 14, 3), dtype=np.uint8)
    kind = "png" if path.suffix == ".png" else "ppm"
    Image.fromarray(pixels).save(path.with_suffix(".tmp"), kind)
    path.with_suffix(".tmp").replace(path)
    os.utime(path, (1e9 + seed, 1e9 + seed))
    return path


def folder(root: Path, first: int = 0, rows: int = 8, suffix: str = ".png") -> Path:
    """Two classes in three splits, with pictures of the seeds from `first` on."""
    seed = first
    for split, count in {"train": rows, "val": 2, "test": 3}.items():
        for name in ("ant", "bee"):
            for i in range(count):
                paint(root / split / name / f"{i:02d}{suffix}", seed)
                seed += 1
    return root


def read(root: Path) -> Dataset:
    return load_dataset(str(root))
