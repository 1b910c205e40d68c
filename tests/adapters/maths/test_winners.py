"""Hits along a line of logits are the hits at each of its points."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some

from adapters.maths import winners


@settings(deadline=None)
@given(
    some.integers(0, 999),
    some.integers(0, 40),
    some.integers(1, 12),
    some.sampled_from([0.0, 0.01, 0.3, 3.0]),
    some.lists(some.floats(-3, 9), min_size=1, max_size=25),
)
def test_hits_along_a_line_are_those_at_each_point(
    seed: int, rows: int, classes: int, steep: float, values: list[float]
) -> None:
    g = torch.Generator().manual_seed(seed)
    start = torch.randn(rows, classes, generator=g)
    slope = steep * torch.randn(rows, classes, generator=g)
    labels = torch.randint(classes, (rows,), generator=g)
    values = sorted(values)
    wanted = [winners.hits(start.add(slope, alpha=a), labels) for a in values]
    assert winners.hits_along(start, slope, values, labels) == wanted


def test_most_points_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    whole = winners._best

    def counted(logits: torch.Tensor) -> winners.Array:
        looked.append(len(logits))
        return whole(logits)

    monkeypatch.setattr(winners, "_best", counted)
    start, labels = torch.eye(5), torch.arange(5)
    assert winners.hits_along(start, 0 * start, [*range(100)], labels) == [5] * 100
    assert looked == [5, 5]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_hits_nothing_on_the_way_either(value: float) -> None:
    g = torch.Generator().manual_seed(0)
    start, slope = torch.randn(9, 4, generator=g), torch.randn(9, 4, generator=g)
    start[2] = value
    slope[5, 1] = value
    labels, values = torch.randint(4, (9,), generator=g), [0.0, 0.5, 1.0, 2.0]
    wanted = [winners.hits(start.add(slope, alpha=a), labels) for a in values]
    assert winners.hits_along(start, slope, values, labels) == wanted
