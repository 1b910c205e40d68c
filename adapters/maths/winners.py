"""Which class is best by its logits, and for how many pictures that is right along a line of them.

Where logits are linear in a setting, start + a slope, the best of them is a convex function of a
with few corners. So a search over many values looks at both ends, and where another class is best
there, at the value where the two are equal: a third class is best at a corner or nowhere between.

Exact ties inside a line count for neither class, those at its ends for the first, as in `hits`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

Array = np.ndarray[Any, np.dtype[Any]]
NONE = -1  # the best class of a picture whose largest logit is not finite


def hits(logits: Tensor, labels: Tensor) -> int | Tensor:
    """How many rows of `logits [q, c]` are best at their class of `labels [q]`.

    Off the processor it is a number that nobody has waited for yet. A row whose best is not finite
    hits nothing: to argmax, NaN is more than any number.
    """
    if logits.device.type != "cpu":
        best, found = logits.max(1)
        return ((found == labels) & best.isfinite()).sum()
    return int(np.count_nonzero(_best(logits) == labels.numpy()))


def hits_along(
    start: Tensor, slope: Tensor, values: Sequence[float], labels: Tensor
) -> Sequence[int | Tensor]:
    """The hits of start + a slope, both `[q, c]`, for each a of the rising `values`."""
    one_by_one = (hits(start.add(slope, alpha=a), labels) for a in values)
    if (
        len(values) < 3 or start.device.type != "cpu"
    ):  # to know what is left, one would have to wait
        return [*one_by_one]
    low, high = (_best(start.add(slope, alpha=a)) for a in (values[0], values[-1]))
    if min(low.min(initial=0), high.min(initial=0)) == NONE:
        return [*one_by_one]
    wanted = labels.numpy()
    first, last = _interval(start.numpy(), slope.numpy(), values, wanted, low, high)
    inner = np.asarray(values[1:-1])[:, None]
    between: list[int] = ((first < inner) & (inner < last)).sum(1).tolist()
    ends = (int(np.count_nonzero(best == wanted)) for best in (low, high))
    return [next(ends), *between, next(ends)]


def _interval(
    start: Array, slope: Array, values: Sequence[float], right: Array, low: Array, high: Array
) -> tuple[Array, Array]:
    """Between which a the classes `right [q]` are best, `low [q]` and `high [q]` being at the ends.

    From more to less where they never are.
    """
    first = np.where(low == right, -np.inf, np.inf)
    last = np.where(high == right, np.inf, -np.inf)
    rows = np.flatnonzero(low != high)
    low, high = low[rows], high[rows]
    while len(rows):
        rise = slope[rows, high] - slope[rows, low]
        with np.errstate(divide="ignore", invalid="ignore"):
            corner = np.nan_to_num((start[rows, low] - start[rows, high]) / rise)
        corner = corner.clip(values[0], values[-1])
        best = (start[rows] + corner[:, None] * slope[rows]).argmax(1)
        # Of classes that rounding alone tells apart, no slope is between.
        steep = slope[rows, best]
        more = (slope[rows, low] < steep) & (steep < slope[rows, high])
        for bound, beside in ((last, low), (first, high)):
            done = ~more & (beside == right[rows])
            bound[rows[done]] = corner[done]
        rows, low, high = (
            np.concatenate([pair[0][more], pair[1][more]])
            for pair in ((rows, rows), (low, best), (best, high))
        )
    return first, last


def _best(logits: Tensor) -> Array:
    """The first class of the largest of `logits [q, c]`, `NONE` where that is not finite."""
    # At 1,000 classes NumPy's argmax is five times as fast as torch's, and searches do little else.
    scores = logits.detach().numpy()
    best = scores.argmax(1)
    return np.where(np.isfinite(scores[np.arange(len(scores)), best]), best, NONE)
