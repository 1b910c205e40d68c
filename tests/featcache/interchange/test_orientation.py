"""Axes: told by lengths and labels, and refused where nothing tells."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featcache.errors import ImportRefusedError
from featcache.interchange.orientation import (
    check_views,
    is_unit,
    rows_first,
    view_after_view,
    whole_labels,
)
from tests.featcache.interchange.layouts import cloud, drawn, one_hot, unit


@given(n=st.integers(1, 9), d=st.integers(1, 9))
def test_pictures_come_first_whichever_way_they_lay(n: int, d: int) -> None:
    x = unit(np.random.default_rng(n + 10 * d).normal(size=(n, d)))
    if n == d == 1 or (n == d and is_unit(x.T)):
        return
    for lay, turned in ((x, False), (x.T, True)):
        found, told = rows_first("keys", lay, n)
        np.testing.assert_array_equal(found, x)
        assert told is turned


def test_a_square_without_unit_lengths_cannot_be_told() -> None:
    for x in (2 * np.ones((3, 3)), np.eye(3)):
        with pytest.raises(ImportRefusedError, match="nothing tells"):
            rows_first("keys", x, 3)
    with pytest.raises(ImportRefusedError, match="none of its axes"):
        rows_first("keys", np.ones((3, 4)), 5)


@given(st.lists(st.integers(0, 5), min_size=1))
def test_one_hot_labels(labels: list[int]) -> None:
    hot = one_hot(np.array(labels))
    if hot.shape[1] > 1:
        assert whole_labels("values", hot).tolist() == labels
    assert whole_labels("labels", np.array(labels)).tolist() == labels
    assert whole_labels("labels", np.array(labels)[:, None]).tolist() == labels


@pytest.mark.parametrize("row", [[0, 0], [1, 1], [0.5, 0.5], [2, 0], [np.nan, 1]])
def test_rows_that_are_not_one_hot(row: list[float]) -> None:
    with pytest.raises(ImportRefusedError, match="one 1 and else zeros"):
        whole_labels("values", np.array([[1, 0], row]))


@given(views=st.integers(1, 5), shots=st.integers(1, 4))
def test_views_stand_one_after_the_other(views: int, shots: int) -> None:
    y = drawn(shots)
    x = cloud(y, 0, views)
    found, labels = view_after_view("vecs", x.reshape(-1, 16), np.tile(y, views), shots)
    np.testing.assert_array_equal(found, x)
    assert labels.tolist() == y.tolist()


def test_views_in_another_order_are_refused() -> None:
    y = np.tile(drawn(2), 3)
    x = np.ones((len(y), 4))
    for labels in (np.sort(y), np.random.default_rng(0).permutation(y)):
        with pytest.raises(ImportRefusedError, match="shuffle"):
            view_after_view("vecs", x, labels, 2)
    with pytest.raises(ImportRefusedError, match="4 rows for 3 shots"):
        view_after_view("vecs", np.ones((20, 4)), np.tile(drawn(2), 2), 3)
    with pytest.raises(ImportRefusedError, match="10 labels"):
        view_after_view("vecs", np.ones((20, 4)), drawn(2), 2)


@pytest.mark.parametrize("seed", range(5))
def test_shuffled_views_are_noticed(seed: int) -> None:
    y = drawn(4)
    x = cloud(y, seed, views=3)
    check_views("views", x, y)
    x[1] = x[1][np.random.default_rng(seed).permutation(len(y))]
    with pytest.raises(ImportRefusedError, match="view 1 is in another order than view 0"):
        check_views("views", x, y)


@pytest.mark.parametrize(("length", "told"), [(1.004, True), (1.006, False), (0.994, False)])
def test_lengths_near_one(length: float, told: bool) -> None:
    assert is_unit(length * unit(np.ones((2, 3, 4)))) is told
