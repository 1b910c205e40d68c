"""Intervals and tests against scipy, Holm's rule against the closed testing that it stands for."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas
import pytest
import scipy.stats
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from adapters.report.statistics import half_width, holm, over_datasets, over_seeds, summary

accuracies = st.floats(0, 100).map(lambda value: round(value, 2))
some = st.lists(accuracies, min_size=2, max_size=8)


@settings(deadline=None)
@given(some)
def test_interval_is_scipys(values: list[float]) -> None:
    assume(np.ptp(values) > 0)
    std, n = np.std(values, ddof=1), len(values)
    interval = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert half_width(std, n) == pytest.approx((interval.high - interval.low) / 2, abs=1e-9)


def test_one_seed_has_no_interval() -> None:
    assert math.isnan(half_width(math.nan, 1))
    assert math.isnan(over_seeds([3.0]))


@settings(deadline=None)
@given(some)
def test_over_seeds_is_the_paired_t_test(values: list[float]) -> None:
    if np.ptp(values) < 1e-6:
        assert over_seeds(values) == 1 if not any(values) else math.isnan(over_seeds(values))
        return
    before = np.arange(len(values)) * 7.0
    wanted = scipy.stats.ttest_rel(before + values, before).pvalue
    assert over_seeds(values) == pytest.approx(wanted, rel=1e-6, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(accuracies.filter(lambda value: value != 50.25), min_size=6, max_size=11, unique=True)
)
def test_over_datasets_is_the_sign_flip_test_of_ranks(values: list[float]) -> None:
    """Against every way to choose signs, which is what the exact test means."""
    differences = np.array(values) - 50.25
    ranks = scipy.stats.rankdata(abs(differences))
    if len(set(ranks)) < len(ranks):
        return
    signs = np.array(list(itertools.product((-1, 1), repeat=len(values))))
    sums = signs @ ranks
    observed = np.sign(differences) @ ranks
    assert over_datasets(list(differences)) == pytest.approx((abs(sums) >= abs(observed)).mean())


def test_five_data_sets_are_too_few() -> None:
    assert math.isnan(over_datasets([1.0, 2, 3, 4, 5]))
    assert over_datasets([1.0, 2, 3, 4, 5, 6]) < 0.05


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_closed_bonferroni(values: list[float]) -> None:
    """A hypothesis is rejected where Bonferroni rejects every intersection that holds it."""
    everything = range(len(values))
    subsets = [s for n in everything for s in itertools.combinations(everything, n + 1)]
    for i, adjusted in enumerate(holm(values)):
        wanted = max(min(1, len(s) * min(values[j] for j in s)) for s in subsets if i in s)
        assert adjusted == pytest.approx(wanted)


def test_holm_does_not_count_what_was_not_tested() -> None:
    first, second, third = holm([0.01, math.nan, 0.04])
    assert (first, third) == (0.02, 0.04)
    assert math.isnan(second)


@settings(max_examples=30, deadline=None)
@given(some)
def test_summary_is_in_the_order_met(values: list[float]) -> None:
    rows = pandas.DataFrame({"line": ["b", "a"] * len(values), "accuracy": np.repeat(values, 2)})
    found = summary(rows, ["line"])
    assert found["line"].tolist() == ["b", "a"]
    assert found["mean"].tolist() == pytest.approx([np.mean(values)] * 2)
    assert found["n"].tolist() == [len(values)] * 2
