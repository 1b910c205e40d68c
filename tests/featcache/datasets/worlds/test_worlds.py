"""What holds of every embedded world."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from featcache.datasets.registry import load
from featcache.datasets.table import names


@pytest.mark.parametrize("name", [info.name for info in names() if info.folder is None])
def test_made_sets(name: str) -> None:
    info = next(info for info in names() if info.name == name)
    dataset = load(name)
    assert dataset.name == name
    assert len(dataset.classnames) == info.classes
    assert dataset.flip is (name not in ("digits", "shapes-pairs", "relations"))
    if not dataset.problems:
        assert {split: len(items) for split, items in dataset.splits.items()} == info.sizes
        for items in dataset.splits.values():
            assert {item.label for item in items} == set(range(info.classes))
    every = [item.id for items in dataset.splits.values() for item in items]
    assert len(set(every)) == len(every)
    pixels = pickle.loads(pickle.dumps(next(iter(dataset.splits.values()))[0].source)).pixels()
    assert pixels.dtype == np.uint8
    assert pixels.shape[2] == 3


def test_made_sets_are_the_same_every_time() -> None:
    assert load("digits").fingerprint == "8674b63702ce9a15"
    assert load("shapes-pairs").fingerprint == load("shapes-pairs").fingerprint
