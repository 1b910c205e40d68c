"""Many values of a smooth function from a few: interpolation at Chebyshev's points.

As a function of beta >= 0 on an interval of length L, exp(-beta d) with 0 <= d <= 2 has a
coefficient of T_k, where k^2 > L, of at most 2 exp(-L) I_k(L), I_k the modified Bessel function
(Abramowitz and Stegun, 9.6.34). At k = sqrt(32 L) + 8 that is less than float32's rounding of the
largest value; the error is as small beside that value, not beside each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

TOGETHER = 16  # values that are in memory at once


def values(function: Callable[[float], Tensor], at: Sequence[float]) -> Iterator[Tensor]:
    """The function's values, in order; interpolated where that takes fewer evaluations.

    The function has to be as smooth as the module's head says.
    """
    count = enough(max(at) - min(at))
    if len(at) <= count:
        yield from map(function, at)
        return
    points, weights = chebyshev(at, count)
    known = torch.stack([function(point) for point in points])  # [k, ...]
    for some in weights.to(known).split(TOGETHER):  # type: ignore[no-untyped-call]
        yield from torch.tensordot(some, known, 1)


def enough(length: float) -> int:
    """How many points give every value on an interval of that length, to float32's rounding."""
    return math.ceil(math.sqrt(32 * length)) + 8


def chebyshev(at: Sequence[float], count: int) -> tuple[list[float], Tensor]:
    """Points between the ends of `at`, and weights `[len(at), count]` of the values there."""
    x = torch.tensor(at, dtype=torch.float64)
    middle, half = (x.max() + x.min()) / 2, ((x.max() - x.min()) / 2).clamp(min=1e-9)
    k = torch.arange(count, dtype=torch.float64)
    angles = (k + 0.5) * math.pi / count
    of_x = ((x - middle) / half).clamp(-1, 1).arccos()
    # T_k(x) = cos(k arccos x), and the T_k are orthogonal on the points.
    polynomials, at_points = (of_x[:, None] * k).cos(), (angles[:, None] * k).cos()
    weights = (2 * polynomials @ at_points.T - 1) / count  # T_0 counts once
    return (middle + half * angles.cos()).tolist(), weights
