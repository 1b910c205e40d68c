"""Sums of the blocks of an array: what was read is what was written, or it is not given out.

HDF5's own Fletcher-32 is blind to a chunk of zeros and to 0x0000 against 0xFFFF. CRC-32 is not,
comes with Python and is fast on every machine; SHA-256 of the whole file stands beside it. A block
is what HDF5 keeps as one chunk, so that few rows of a large shard are checked by reading little.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from zlib import crc32

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BLOCK_BYTES = 1 << 20
DIGITS = 8


def most_rows(shape: Sequence[int], itemsize: int) -> int:
    """How many rows a block has at most: about one MiB of them, and one at least."""
    row = max(1, math.prod(shape[1:]) * itemsize)
    return max(1, min(shape[0], BLOCK_BYTES // row))


def block_rows(shape: Sequence[int], itemsize: int) -> int:
    """How many rows a block has: as few blocks as there can be, and those alike.

    A file has room for whole blocks. Earlier versions filled all blocks but the last.
    """
    most = most_rows(shape, itemsize)
    return max(1, -(-shape[0] // max(1, -(-shape[0] // most))))


def starts(shape: Sequence[int], rows: int) -> range:
    """The first row of each block of so many; an array without rows has one, which is empty."""
    return range(0, max(1, shape[0]), rows)


def block_sum(
    name: str, shape: Sequence[int], dtype: np.dtype[Any], start: int, block: NDArray[Any]
) -> str:
    """The sum of one block, and of which array it is, of what shape and type, and where in it."""
    head = f"{name} {dtype.str} {tuple(shape)} {start} "
    return f"{crc32(block.data, crc32(head.encode())):0{DIGITS}x}"


def sums_of(name: str, array: NDArray[Any], rows: int = 0) -> str:
    """The sums of all blocks of a contiguous array, one after the other; 0 is `block_rows`."""
    shape, size = array.shape, rows or block_rows(array.shape, array.itemsize)
    return "".join(
        block_sum(name, shape, array.dtype, start, array[start : start + size])
        for start in starts(shape, size)
    )
