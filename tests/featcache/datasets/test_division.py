"""Dividing classes: nothing lost, nobody moved by others, train and test never empty."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featcache.datasets.division import FRACTIONS, divide
from featcache.errors import ConfigError

sizes = st.lists(st.integers(2, 60), min_size=1, max_size=8)
seeds = st.integers(0, 99)


def named(sizes: list[int]) -> list[list[str]]:
    return [[f"{label}/{i:03}.jpg" for i in range(n)] for label, n in enumerate(sizes)]


def where(classes: list[list[str]], seed: int) -> dict[str, str]:
    return {m: split for split, held in divide(classes, seed).items() for m in chain(*held)}


@given(sizes, seeds, st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)).filter(any))
def test_divide(sizes: list[int], seed: int, weights: tuple[int, int, int]) -> None:
    train, val, test = (weight / sum(weights) for weight in weights)
    splits = divide(named(sizes), seed, (train, val, test))
    assert splits == divide(named(sizes), seed, (train, val, test))
    for label, members in enumerate(named(sizes)):
        parts = [split[label] for split in splits.values()]
        assert sorted(chain(*parts)) == members
        assert all(part == sorted(part) for part in parts)
        assert parts[0]
        assert parts[2]


@given(sizes, seeds, st.data())
def test_taking_pictures_away_moves_no_other(
    sizes: list[int], seed: int, data: st.DataObject
) -> None:
    """But where train or test would be empty, and one picture has to fill it."""
    classes = named(sizes)
    kept = [data.draw(st.lists(st.sampled_from(c), min_size=2, unique=True)) for c in classes]
    before, after = where(classes, seed), where(kept, seed)
    for held, members in zip(classes, kept, strict=True):
        alone = {member: where([[member]], seed)[member] for member in held}
        moved = [member for member in members if before[member] != after[member]]
        assert len(moved) <= 2
        assert not moved or not {alone[m] for m in members} >= {"train", "test"}


def test_a_picture_stays_where_it_is_whatever_is_added() -> None:
    small, large = where(named([40, 40]), 1), where(named([90, 40, 7]), 1)
    assert {member: large[member] for member in small} == small
    assert where(named([40, 40]), 2) != small


def test_the_shares_are_near_those_wished() -> None:
    n = 20_000
    held = divide(named([n]), 1)
    for split, share in zip(held, FRACTIONS, strict=True):
        assert abs(len(held[split][0]) / n - share) < 4 * (share * (1 - share) / n) ** 0.5


def test_the_division_never_changes() -> None:
    """Folders that were encoded are found again by it."""
    assert [len(split[0]) for split in divide(named([100]), 1).values()] == [53, 19, 28]
    assert where([["cat/1.jpg", "cat/2.jpg"]], 1) == {"cat/2.jpg": "train", "cat/1.jpg": "test"}


def test_divide_refuses_odd_fractions() -> None:
    for fractions in ((0.5, 0.5, 0.5), (1.5, -0.5, 0.0), (float("nan"), 0.5, 0.5)):
        with pytest.raises(ConfigError):
            divide([["1", "2"]], 1, fractions)
