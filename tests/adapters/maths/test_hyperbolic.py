"""Hyperbolic geometry: against the Mobius formula, the laws of a metric, and the boundary."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor

from adapters.maths import hyperbolic
from adapters.maths.hyperbolic import Model, clip, distances, exp0

MODELS = pytest.mark.parametrize("model", ["poincare", "lorentz"])
SEEDS = st.integers(0, 2**31)
CURVATURES = st.floats(0.05, 2)
UNHURRIED = settings(deadline=None, max_examples=40)


def vectors(
    seed: int, rows: int, length: float = 1.5, dtype: torch.dtype = torch.float64
) -> Tensor:
    generator = Generator().manual_seed(seed)
    v = torch.randn(rows, 6, generator=generator, dtype=torch.float64)
    lengths = length * torch.rand(rows, 1, generator=generator, dtype=torch.float64)
    return (v / v.norm(dim=1, keepdim=True) * lengths).to(dtype)


def mobius(x: np.ndarray, y: np.ndarray, c: float) -> float:
    """(2 / sqrt(c)) artanh(sqrt(c) |(-x) (+) y|), from Mobius addition."""
    xy, xx, yy = -x @ y, x @ x, y @ y
    top = (1 + 2 * c * xy + c * yy) * -x + (1 - c * xx) * y
    bottom = 1 + 2 * c * xy + c * c * xx * yy
    return float(2 / c**0.5 * np.arctanh(c**0.5 * np.linalg.norm(top / bottom)))


@UNHURRIED
@given(seed=SEEDS, c=CURVATURES)
def test_the_ball_has_the_distance_of_mobius_addition(seed: int, c: float) -> None:
    x = exp0(vectors(seed, 4), c, "poincare")
    wanted = [[mobius(a, b, c) for b in x.numpy()] for a in x.numpy()]
    np.testing.assert_allclose(distances(x, x, c, "poincare").numpy(), wanted, atol=1e-6)


@UNHURRIED
@given(seed=SEEDS, c=CURVATURES)
def test_lorentz_has_the_distance_of_its_product(seed: int, c: float) -> None:
    x = exp0(vectors(seed, 4), c, "lorentz").numpy()
    time = np.sqrt(1 / c + (x**2).sum(1))
    product = c * (np.outer(time, time) - x @ x.T)
    wanted = np.arccosh(np.maximum(product, 1)) / c**0.5
    found = distances(torch.from_numpy(x), torch.from_numpy(x), c, "lorentz")
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-6)


@UNHURRIED
@given(seed=SEEDS, c=CURVATURES)
def test_the_two_models_are_one_space(seed: int, c: float) -> None:
    v = vectors(seed, 5)
    ball = exp0(v, c, "poincare")
    lorentz = exp0(2 * v, c, "lorentz")
    d = distances(ball, ball, c, "poincare")
    torch.testing.assert_close(d, distances(lorentz, lorentz, c, "lorentz"), atol=1e-6, rtol=1e-6)


@MODELS
@UNHURRIED
@given(seed=SEEDS, c=CURVATURES)
def test_laws_of_a_metric(model: Model, seed: int, c: float) -> None:
    x = exp0(vectors(seed, 6), c, model)
    d = distances(x, x, c, model)
    assert d.diagonal().abs().max() < 1e-6
    torch.testing.assert_close(d, d.mT)
    assert (d[:, None] <= d[:, :, None] + d[None] + 1e-6).all()  # d_ik <= d_ij + d_jk


@pytest.mark.parametrize(("model", "factor"), [("poincare", 2.0), ("lorentz", 1.0)])
@UNHURRIED
@given(seed=SEEDS, c=CURVATURES)
def test_distance_from_the_origin_is_the_length_of_the_vector(
    model: Model, factor: float, seed: int, c: float
) -> None:
    v = vectors(seed, 5)
    d = distances(torch.zeros(1, 6, dtype=v.dtype), exp0(v, c, model), c, model)[0]
    torch.testing.assert_close(d, factor * v.norm(dim=1))


@pytest.mark.parametrize(("model", "factor"), [("poincare", 2.0), ("lorentz", 1.0)])
def test_without_curvature_it_is_euclidean(model: Model, factor: float) -> None:
    v = vectors(0, 8)
    x = exp0(v, 1e-10, model)
    torch.testing.assert_close(x, v, atol=1e-7, rtol=1e-7)
    torch.testing.assert_close(
        distances(x, x, 1e-10, model), factor * torch.cdist(v, v), atol=1e-6, rtol=1e-6
    )


@MODELS
@UNHURRIED
@given(seed=SEEDS, length=st.sampled_from([0.0, 1e-30, 1e-6, 1.0, 10.0, 1e3, 1e6]))
def test_finite_to_the_boundary_in_float32(model: Model, seed: int, length: float) -> None:
    v = torch.cat([vectors(seed, 5, length, torch.float32), torch.zeros(1, 6)]).requires_grad_()
    c = torch.tensor(0.1, requires_grad=True)
    x = exp0(v, c, model)
    d = distances(x, x, c, model)
    d.sum().backward()
    assert v.grad is not None
    assert c.grad is not None
    assert d.isfinite().all()
    assert v.grad.isfinite().all()
    assert c.grad.isfinite()


def test_points_stay_inside_the_ball_and_the_clip() -> None:
    far = 1e4 * vectors(0, 8, dtype=torch.float32)
    x = exp0(far, 0.1, "poincare")
    assert (0.1**0.5 * x.norm(dim=1) <= 1 - hyperbolic.EDGE + 1e-6).all()
    torch.testing.assert_close(clip(far, 2.3).norm(dim=1), torch.full((8,), 2.3))
    near = vectors(0, 8, 2.0, torch.float32)
    assert torch.equal(clip(near, 2.3), near)
