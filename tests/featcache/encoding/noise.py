"""A data set of coloured noise, with or without a broken picture, and what a cache holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from featcache import FeatureCache, ViewRecipe
from featcache.datasets.dataset import Dataset, Item

VIEWS = ViewRecipe(count=3, seed=5)


@dataclass(frozen=True)
class Noise:
    """A picture of coloured noise."""

    seed: int

    def pixels(self) -> NDArray[np.uint8]:
        rng = np.random.default_rng(self.seed)
        return rng.integers(0, 256, (20 + self.seed % 9, 24, 3), dtype=np.uint8)


def noise(train: int = 90, rest: int = 21) -> Dataset:
    def split(name: str, rows: int, first: int) -> tuple[Item, ...]:
        return tuple(Item(f"{name}/{i}", Noise(first + i), i % 3) for i in range(rows))

    splits = {
        "train": split("train", train, 0),
        "val": split("val", rest, 1000),
        "test": split("test", rest, 2000),
    }
    return Dataset("noise", ("one", "two", "three"), splits)


def files(cache: FeatureCache) -> dict[str, bytes]:
    """Name and bytes of everything in the only entry, without the lock."""
    folder = cache.entries()[0].folder
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != ".lock"}


def spoil(data: Dataset, folder: Path) -> tuple[Dataset, Path]:
    """The same data set with the picture of training row 40 in a file that is no picture."""
    path = folder / "broken.jpg"
    path.write_text("no picture")
    train = list(data.splits["train"])
    train[40] = replace(train[40], source=path)
    return replace(data, splits={**data.splits, "train": tuple(train)}), path
