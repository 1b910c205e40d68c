"""Interpolation between a few evaluations: exact where it claims to be, and sparing."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from adapters.maths import chebyshev


@settings(deadline=None)
@given(st.floats(0, 5), st.floats(0.1, 60), st.integers(1, 300), st.integers(0, 99))
def test_sums_of_exponentials_to_the_rounding_of_float32(
    low: float, length: float, count: int, seed: int
) -> None:
    d = 2.3 * torch.rand(7, 16, generator=torch.Generator().manual_seed(seed)) - 0.3
    at = [low + length * i / count for i in range(count)]

    def function(beta: float) -> Tensor:
        return (-beta * d).exp().sum(1)

    found = torch.stack([*chebyshev.values(function, at)])
    exact = (-torch.tensor(at).double()[:, None, None] * d.double()).exp().sum(2)
    # Beside the largest value, not beside each.
    torch.testing.assert_close(found.double(), exact, atol=3e-6 * float(exact.max()), rtol=0)


def test_points_are_fewer_than_values_and_never_more() -> None:
    asked: list[float] = []

    def function(beta: float) -> Tensor:
        asked.append(beta)
        return torch.tensor([beta])

    at = [0.1 + i * 11.9 / 200 for i in range(200)]
    found = torch.cat([*chebyshev.values(function, at)])
    torch.testing.assert_close(found, torch.tensor(at))
    assert len(asked) == chebyshev.enough(at[-1] - at[0]) < 30
    assert min(at) < min(asked)
    assert max(asked) < max(at)
    asked.clear()
    few = torch.cat([*chebyshev.values(function, at[:8])])
    assert asked == at[:8]
    assert few.tolist() == pytest.approx(asked)


def test_values_that_are_all_the_same() -> None:
    found = [*chebyshev.values(lambda beta: torch.tensor([beta]), [2.0] * 20)]
    assert [x.item() for x in found] == pytest.approx([2.0] * 20)
