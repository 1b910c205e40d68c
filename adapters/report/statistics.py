"""What a few seeds allow to say: intervals of a mean, and differences to a baseline.

Interval: mean ± t(0.975, n - 1) s / sqrt(n) over n seeds (Student's t; NaN for one seed).
Over seeds: paired t-test of the differences at the same draw, two-sided; the data sets are fixed,
their average over each seed is one number. Over data sets: Wilcoxon's signed-rank test of the
differences of means (Demsar 2006, JMLR 7, section 3.1.3), which says something of further data sets
and cannot reach 5 % with fewer than six. Holm 1979 corrects for the number of methods.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas

LEVEL = 0.05
LEAST_DATASETS = 6


def half_width(std: Any, n: Any) -> Any:
    """Half the 95 % t-interval of a mean of `n` values with sample deviation `std`.

    Numbers or arrays; NaN where n < 2.
    """
    from scipy.special import stdtrit

    degrees = np.where(np.asarray(n) > 1, np.asarray(n) - 1.0, np.nan)
    return stdtrit(degrees, 1 - LEVEL / 2) * std / np.sqrt(n)


def over_problems(rows: pandas.DataFrame) -> bool:
    """Whether accuracies are of lists of problems, which have a standard error of their own."""
    return "standard_error" in rows and bool(rows["standard_error"].notna().any())


def summary(rows: pandas.DataFrame, by: Sequence[str], value: str = "accuracy") -> pandas.DataFrame:
    """Mean, half 95 % interval and number `n` of `value`, by the columns `by`, in order met.

    Of lists of problems half is their standard error: seeds are the chance of the fits alone, and
    every one of them has the same problems.
    """
    groups = rows.groupby(list(by), sort=False)[value]
    found: Any = groups.agg(mean="mean", std="std", n="count")
    half = half_width(found["std"], found["n"])
    if value == "accuracy" and over_problems(rows):
        errors = rows.astype({"standard_error": float}).groupby(list(by), sort=False)
        half = errors["standard_error"].mean()
    table: pandas.DataFrame = found.assign(half=half).drop(columns="std").reset_index()
    return table


def over_seeds(differences: Sequence[float]) -> float:
    """P-value of the paired t-test; NaN where one seed or no spread leaves nothing to test.

    All differences zero are no difference: 1.
    """
    from scipy.special import stdtr

    values = np.asarray(differences, dtype=float)
    n = len(values)
    if n and not values.any():
        return 1.0
    if n < 2 or np.ptp(values) < 1e-9:
        return math.nan
    t = values.mean() / values.std(ddof=1) * math.sqrt(n)
    return float(2 * stdtr(n - 1, -abs(t)))


def over_datasets(differences: Sequence[float]) -> float:
    """P-value of Wilcoxon's signed-rank test; NaN with fewer than six data sets."""
    from scipy.stats import wilcoxon

    values = np.asarray(differences, dtype=float)
    if len(values) < LEAST_DATASETS:
        return math.nan
    # Differences of a rounding error are ties, which the ranks must see.
    values = values.round(9)
    return float(wilcoxon(values, zero_method="zsplit").pvalue) if values.any() else 1.0


def holm(values: Sequence[float]) -> list[float]:
    """P-values adjusted for their number by Holm's step-down rule; NaN stays and is not counted."""
    order = sorted((p, i) for i, p in enumerate(values) if not math.isnan(p))
    adjusted, highest = [math.nan] * len(values), 0.0
    for done, (p, i) in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - done) * p))
        adjusted[i] = highest
    return adjusted
