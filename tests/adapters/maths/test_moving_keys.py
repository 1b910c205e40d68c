"""Keys that move with their class: the equation by autograd alone, in portions and not."""

from __future__ import annotations

import pytest
import torch
from torch import Generator, Tensor
from torch.nn.functional import one_hot

from adapters.maths import moving_keys


def made(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(params=[1, 30, 2**18], autouse=True)
def _portions(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.maths.kernels.CACHED", request.param)


LABELS = torch.tensor([2, 0, 2, 4, 4, 4, 0, 1, 2])  # class 3 has no keys


def test_sums_are_the_equation_and_their_gradient_is_autograds() -> None:
    base = made(9, 7)
    moved, lengths, weights = (
        each.requires_grad_() for each in (made(5, 7, seed=1), 0.5 + made(9), made(9, seed=3))
    )
    found = moving_keys.class_affinity(base, moved, lengths, weights, LABELS, 2.0)
    near = (base + moved[LABELS]) / lengths[:, None] - 1
    wanted = one_hot(LABELS, 5).double().T @ (weights[:, None] * (2.0 * near).exp())
    torch.testing.assert_close(found, wanted)
    slope, learned = made(5, 7, seed=4), (moved, lengths, weights)
    gradients = (torch.autograd.grad((each * slope).sum(), learned) for each in (found, wanted))
    torch.testing.assert_close(*gradients)


def test_products_with_the_row_of_ones_class_too() -> None:
    keys, by = made(9, 4), made(5, 4, seed=1).requires_grad_()
    found = moving_keys.own_products(keys, by, LABELS)
    wanted = (keys * by[LABELS]).sum(1)
    torch.testing.assert_close(found, wanted)
    gradients = (torch.autograd.grad(each.square().sum(), by) for each in (found, wanted))
    torch.testing.assert_close(*gradients)


def test_no_keys_have_no_sums() -> None:
    none = torch.zeros(0).long()
    sums = moving_keys.class_affinity(made(0, 3), made(2, 3), made(0), made(0), none, 1.0)
    assert torch.equal(sums, torch.zeros(2, 3).double())
    assert moving_keys.own_products(made(0, 3), made(2, 3), none).shape == (0,)
