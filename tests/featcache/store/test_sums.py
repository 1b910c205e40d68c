"""Sums of blocks tell apart what differs, in content, name, type, shape or place."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from featcache.store.sums import block_rows, most_rows, starts, sums_of

ROWS = np.arange(40, dtype=np.int16).reshape(20, 2)


@pytest.mark.parametrize(
    ("shape", "itemsize", "rows"),
    [
        ((20000, 30), 2, 10000),
        ((2048, 768), 2, 512),
        ((100, 30), 2, 100),
        ((3, 2**18), 8, 1),
        ((0, 4), 2, 1),
        ((5, 0), 2, 5),
    ],
)
def test_a_block_is_about_a_mebibyte(shape: tuple[int, ...], itemsize: int, rows: int) -> None:
    assert block_rows(shape, itemsize) == rows <= most_rows(shape, itemsize)
    assert list(starts(shape, rows)) == list(range(0, max(1, shape[0]), rows))


def test_a_sum_is_crc_32_of_what_the_block_is_and_holds() -> None:
    expected = zlib.crc32(b"x <i2 (20, 2) 0 " + ROWS.tobytes())
    assert sums_of("x", ROWS) == f"{expected:08x}"
    many = np.zeros((2, 2**18), np.float64)
    first, second = (zlib.crc32(f"x <f8 (2, 262144) {i} ".encode() + bytes(2**21)) for i in (0, 1))
    assert sums_of("x", many) == f"{first:08x}{second:08x}"
    assert sums_of("x", np.zeros((0, 4), np.float16)) == f"{zlib.crc32(b'x <f2 (0, 4) 0 '):08x}"


def test_what_differs_has_another_sum() -> None:
    flat = ROWS.reshape(10, 4)
    others = [
        sums_of("y", ROWS),
        sums_of("x", ROWS.view(np.uint16)),
        sums_of("x", ROWS.view(np.float16)),
        sums_of("x", flat),
        sums_of("x", np.zeros_like(ROWS)),
        sums_of("x", ROWS[::-1].copy()),
    ]
    assert len({sums_of("x", ROWS), *others}) == 7
