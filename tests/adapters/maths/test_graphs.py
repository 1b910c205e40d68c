"""Edges between embeddings, by loops."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor

from adapters.maths import graphs


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=Generator().manual_seed(seed))


def test_likeness_is_the_cosine_from_the_mean_of_each_kind() -> None:
    a, b, of_a, of_b = (normal(n, 6, seed=n) + 3 for n in (2, 5, 4, 7))
    found = graphs.likeness(a, b, of_a, of_b)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            u, v = x - of_a.mean(0), y - of_b.mean(0)
            assert found[i, j].item() == pytest.approx(
                float(u @ v / (u.norm() * v.norm())), abs=1e-5
            )


@settings(deadline=None)
@given(seed=st.integers(0, 999), shift=st.floats(-5, 5), scale=st.floats(0.1, 10))
def test_likeness_sees_neither_a_shift_nor_a_scale_of_a_kind(
    seed: int, shift: float, scale: float
) -> None:
    a, b = normal(4, 3, seed=seed), normal(5, 3, seed=seed + 1)
    moved = scale * a + shift
    found = graphs.likeness(moved, b, moved, b)
    torch.testing.assert_close(found, graphs.likeness(a, b, a, b), atol=1e-3, rtol=1e-3)


def test_soft_edges_are_a_softmax_a_row() -> None:
    cosines = normal(4, 6) / 3
    found = graphs.soft_edges(cosines, 3.0)
    for i in range(4):
        e = [math.exp(3 * x) for x in cosines[i].tolist()]
        assert found[i].tolist() == pytest.approx([x / sum(e) for x in e], rel=1e-4)
    torch.testing.assert_close(graphs.soft_edges(cosines, 0.0), torch.full((4, 6), 1 / 6))


@pytest.mark.parametrize("power", [1.0, 3.0])
def test_signed_edges_keep_the_sign_and_their_sizes_sum_to_one(power: float) -> None:
    cosines = torch.tensor([[0.5, -0.25, 0.0], [-1.0, 1.0, 1.0]])
    found = graphs.signed_edges(cosines, power)
    half = 0.25**power / (0.5**power + 0.25**power)
    wanted = torch.tensor([[1 - half, -half, 0.0], [-1 / 3, 1 / 3, 1 / 3]])
    torch.testing.assert_close(found, wanted)


def test_the_power_is_1_unless_asked_and_no_edges_are_no_trouble() -> None:
    cosines = normal(3, 4)
    assert torch.equal(graphs.signed_edges(cosines), graphs.signed_edges(cosines, 1.0))
    assert not graphs.signed_edges(torch.zeros(2, 3)).any()
