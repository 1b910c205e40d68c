"""Rows of numbers: which are refused, and how precisely the others are kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featcache.errors import ImportRefusedError
from featcache.interchange import rows


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (np.nan, "not finite"),
        (np.inf, "not finite"),
        (-np.inf, "not finite"),
        (1e300, "not finite"),
        (0.0, "all zeros, which points nowhere"),
        (1e20, "shorter than 1e-10 or longer than 1e\\+15"),
        (1e-14, "shorter than 1e-10 or longer than 1e\\+15"),
    ],
)
def test_rows_that_nobody_can_use_are_named(value: float, told: str) -> None:
    x = np.ones((5, 3))
    x[3:] = value
    with pytest.raises(ImportRefusedError, match=rf"^here: 2 rows are {told}, the first is row 3;"):
        rows.check("here", x)
    with pytest.raises(ImportRefusedError, match=rf"^here: 1 row is {told}, the first is row 3;"):
        rows.check("here", x[:4])
    rows.check("here", x[:3])


@given(st.floats(-9, 14), st.integers(0, 2**31))
def test_what_is_taken_keeps_its_direction(power: float, seed: int) -> None:
    """Whatever the length, no row is turned by more than half precision may turn it."""
    x = np.random.default_rng(seed).normal(size=(4, 6)) * 10**power
    rows.check("here", x)
    kept = rows.compact(x).astype(np.float64)
    assert (np.linalg.norm(kept - x, axis=1) <= rows.LOSS * np.linalg.norm(x, axis=1)).all()


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (1.0, "float16"),
        (65504.0, "float16"),
        (1e5, "float32"),
        (1e-8, "float32"),
        (1e-4, "float16"),
    ],
)
def test_half_precision_where_it_is_enough(value: float, kept: str) -> None:
    x = np.ones((rows.PORTION + 1, 2), np.float32)
    x[-1] = value  # one row is enough, also in the last portion
    assert rows.compact(x).dtype == kept
    assert rows.compact(np.full((2, 2), 6e-8, np.float16)).dtype == np.float16


def test_portions_of_a_file_are_all_of_it_and_can_be_read_again(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(50, 300))
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    for _ in range(2):
        for each, plain in ((mapped, x), (mapped.T, x.T), (x, x)):
            found = [part.copy() for part in rows.portions(each, 7)]
            assert {len(part) for part in found[:-1]} == {7}
            assert np.concatenate(found).tobytes() == np.ascontiguousarray(plain).tobytes()
    assert rows.kept_as(mapped) == rows.compact(x).dtype == np.float16
