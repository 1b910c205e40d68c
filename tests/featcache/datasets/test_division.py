"""Dividing classes: nothing lost, order kept, train and test never empty."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featcache.datasets.division import divide
from featcache.errors import ConfigError


@given(
    st.lists(st.integers(2, 60), min_size=1, max_size=8),
    st.integers(0, 99),
    st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)).filter(any),
)
def test_divide(sizes: list[int], seed: int, weights: tuple[int, int, int]) -> None:
    classes = [[(label, i) for i in range(n)] for label, n in enumerate(sizes)]
    train, val, test = (weight / sum(weights) for weight in weights)
    splits = divide(classes, seed, (train, val, test))
    assert splits == divide(classes, seed, (train, val, test))
    for label, members in enumerate(classes):
        parts = [split[label] for split in splits.values()]
        assert sorted(chain(*parts)) == members
        assert all(part == sorted(part) for part in parts)
        assert parts[0]
        assert parts[2]


def test_divide_refuses_odd_fractions() -> None:
    for fractions in ((0.5, 0.5, 0.5), (1.5, -0.5, 0.0), (float("nan"), 0.5, 0.5)):
        with pytest.raises(ConfigError):
            divide([[1, 2]], 1, fractions)
