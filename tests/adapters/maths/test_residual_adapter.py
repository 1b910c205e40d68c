"""The residual bottleneck: its equation, its start, and that it is positively homogeneous."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor

from adapters.maths import residual_adapter


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=Generator().manual_seed(seed))


def test_it_starts_as_linear_layers_do() -> None:
    net = residual_adapter.new(64, 400, Generator().manual_seed(0))
    for name, shape, bound in (("down", (400, 64), 1 / 8), ("up", (64, 400), 1 / 20)):
        weight = net[name]
        assert weight.shape == shape
        assert weight.abs().max().item() == pytest.approx(bound, rel=1e-2)
        assert weight.abs().max() <= bound
        assert weight.mean().abs() < bound / 50  # uniform around 0
    again = residual_adapter.new(64, 400, Generator().manual_seed(0))
    assert all(torch.equal(net[name], again[name]) for name in net)


@pytest.mark.parametrize("ratio", [0.0, 0.3, 1.0])
def test_it_is_the_equation(ratio: float) -> None:
    net, x = residual_adapter.new(5, 3, Generator().manual_seed(0)), normal(2, 4, 5)
    found = residual_adapter.adapt(net, x, ratio)
    for i in range(2):
        for j in range(4):
            hidden = (net["down"] @ x[i, j]).clamp(min=0)
            made = (net["up"] @ hidden).clamp(min=0)
            torch.testing.assert_close(found[i, j], ratio * made + (1 - ratio) * x[i, j])


@settings(deadline=None)
@given(seed=st.integers(0, 999), scale=st.floats(0.01, 100), ratio=st.floats(0, 1))
def test_it_is_positively_homogeneous(seed: int, scale: float, ratio: float) -> None:
    net, x = residual_adapter.new(5, 3, Generator().manual_seed(seed)), normal(4, 5, seed=seed)
    found = residual_adapter.adapt(net, scale * x, ratio)
    wanted = scale * residual_adapter.adapt(net, x, ratio)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4 * scale)


def test_a_negative_picture_is_another() -> None:
    """Homogeneous for positive factors alone: it is not linear."""
    net, x = residual_adapter.new(5, 3, Generator().manual_seed(0)), normal(4, 5)
    there = residual_adapter.adapt(net, -x, 0.5)
    assert not torch.allclose(there, -residual_adapter.adapt(net, x, 0.5))
