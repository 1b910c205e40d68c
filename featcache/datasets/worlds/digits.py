"""Scikit-learn's 1,797 handwritten digits (UCI, 8 by 8 grey values): real, no download."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from featcache.datasets.dataset import SPLITS, Dataset, Item
from featcache.datasets.table import DatasetInfo

TEST, VAL = 0.3, 0.2  # the rest is train: as CoOp divides the sets it splits itself
CLASSES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True, slots=True)
class Digit:
    """One digit by its row in scikit-learn's table."""

    index: int

    def pixels(self) -> NDArray[np.uint8]:
        """The digit, uint8 `[8, 8, 3]`, its grey values 0 … 16 spread over 0 … 255."""
        grey = np.rint(_table()[0][self.index] * (255 / 16)).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)


def make(info: DatasetInfo, seed: int = 1) -> Dataset:
    """The digits, half of each class for train, a fifth for val, the rest for test."""
    _, labels = _table()
    classes = [np.flatnonzero(labels == label).tolist() for label in range(len(CLASSES))]
    splits = {
        split: tuple(
            Item(f"digits/{index:04d}", Digit(index), label)
            for label, indices in enumerate(parts)
            for index in indices
        )
        for split, parts in _divide(classes, seed).items()
    }
    return Dataset(info.name, CLASSES, splits, info.templates, flip=False)


def _divide(classes: Sequence[Sequence[int]], seed: int) -> dict[str, list[list[int]]]:
    """Each class at random; numbers in the documents rest on this division, so it stays."""
    rng = random.Random(seed)
    splits: dict[str, list[list[int]]] = {split: [] for split in SPLITS}
    for members in classes:
        n = len(members)
        order = rng.sample(range(n), n)
        test, val = round(TEST * n), round(VAL * n)
        parts = order[test + val :], order[test : test + val], order[:test]
        for split, part in zip(SPLITS, parts, strict=True):
            splits[split].append([members[i] for i in sorted(part)])
    return splits


@cache
def _table() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    from sklearn.datasets import load_digits  # a second to import: only when digits are asked for

    table = load_digits()
    return table.images, table.target
