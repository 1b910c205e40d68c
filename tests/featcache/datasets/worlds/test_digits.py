"""Scikit-learn's digits, pixel by pixel."""

from __future__ import annotations

import numpy as np

from featcache.datasets.registry import load
from featcache.datasets.worlds.digits import Digit


def test_digits_are_those_of_scikit_learn() -> None:
    from sklearn.datasets import load_digits

    table = load_digits()
    dataset = load("digits")
    for items in dataset.splits.values():
        for item in items[:50]:
            index = int(item.id.removeprefix("digits/"))
            assert item.source == Digit(index)
            assert item.label == table.target[index]
            expected = np.round(table.images[index] * 255 / 16)
            assert (Digit(index).pixels() == expected[..., None]).all()
    assert Digit(0).pixels().shape == (8, 8, 3)


def test_the_division_of_the_digits_never_changes() -> None:
    """Numbers in the documents rest on it."""
    dataset = load("digits")
    assert dataset.fingerprint == "8674b63702ce9a15"
    sizes = {split: len(items) for split, items in dataset.splits.items()}
    assert sizes == {"train": 899, "val": 359, "test": 539}
