"""Rows of numbers that can be used: finite, of a length that can be divided by, and kept whole.

Shards keep half precision where it loses nothing that matters, else single precision. Arrays may be
larger than memory: they are looked at in portions, which a mapped file is asked to give back.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featcache.errors import ImportRefusedError

SHORTEST, LONGEST = 1e-10, 1e15  # lengths that single precision squares, sums and divides by
LOSS = 0.01  # of a row's length, above which half precision is not enough
PORTION = 8192  # rows


def check(what: str, x: NDArray[Any]) -> None:
    """Raise `ImportRefusedError` where rows of `x [n, d]` are not finite, zero or out of range."""
    for kind, bad in _bad(x).items():
        if len(bad):
            many = "1 row is" if len(bad) == 1 else f"{len(bad)} rows are"
            raise ImportRefusedError(
                f"{what}: {many} {kind}, the first is row {bad[0]}; mend or remove "
                f"{'it' if len(bad) == 1 else 'them'}."
            )


def compact(x: NDArray[Any]) -> NDArray[Any]:
    """The rows `[n, d]` as they are kept: float16 where every row survives that, else float32."""
    return x.astype(kept_as(x))


def kept_as(x: NDArray[Any]) -> np.dtype[Any]:
    """The type in which rows `[n, d]` are kept."""
    return np.dtype(np.float16 if _survives(x) else np.float32)


def portions(x: NDArray[Any], size: int = PORTION) -> Iterator[NDArray[Any]]:
    """So many rows of an array at a time, of which a mapped file need not be held any longer."""
    for start in range(0, len(x), size):
        yield x[start : start + size]
        _let_go(x)


def _let_go(x: NDArray[Any]) -> None:
    """Give the memory back that pages of a mapped file took; they can be read again."""
    base: Any = x
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(base, "madvise"):
        base.madvise(mmap.MADV_DONTNEED)


def _bad(x: NDArray[Any]) -> dict[str, NDArray[np.int64]]:
    """Numbers of the rows that cannot be used, by what is the matter with them."""
    norms = np.concatenate([_norms(part) for part in portions(x)] or [np.zeros(0)])
    infinite, zero = ~np.isfinite(norms), norms == 0
    odd = ~infinite & ~zero & ((norms < SHORTEST) | (norms > LONGEST))
    return {
        "not finite": np.flatnonzero(infinite),
        "all zeros, which points nowhere": np.flatnonzero(zero),
        f"shorter than {SHORTEST:g} or longer than {LONGEST:g}": np.flatnonzero(odd),
    }


def _survives(x: NDArray[Any]) -> bool:
    """Whether no row loses more in half precision than may be lost."""
    if x.dtype == np.float16:
        return True
    return all(bool((_lost(part) <= LOSS * _norms(part)).all()) for part in portions(x))


def _lost(x: NDArray[Any]) -> NDArray[np.float64]:
    with np.errstate(over="ignore"):
        half = x.astype(np.float16)
    return _norms(x.astype(np.float64) - half)


def _norms(x: NDArray[Any]) -> NDArray[np.float64]:
    """Lengths of the rows; of values that doubles cannot square, infinite."""
    with np.errstate(over="ignore", invalid="ignore"):
        squares: NDArray[np.float64] = np.square(x.astype(np.float64)).sum(1)
        return np.sqrt(squares)
