"""The ODE solvers' orders of convergence, torchdiffeq's bits, and the field over classes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Generator, Tensor
from torchdiffeq import odeint

from adapters.maths import odes

FIXED: list[odes.Solver] = ["euler", "midpoint", "rk4"]


def decay(t: Tensor, p: Tensor) -> Tensor:
    return -p


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("midpoint", 2), ("rk4", 4)])
def test_order_of_convergence(solver: odes.Solver, order: int) -> None:
    start = torch.ones(3, dtype=torch.float64)

    def error(steps: int) -> float:
        end = odes.integrate(decay, start, steps, solver)[-1]
        return (end - math.exp(-1)).abs().max().item()

    assert math.log2(error(8) / error(16)) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("midpoint", 2), ("rk4", 4)])
def test_order_where_the_field_depends_on_time(solver: odes.Solver, order: int) -> None:
    """dx/dt = x cos t has x = exp(sin t)."""
    start = torch.ones(2, dtype=torch.float64)

    def error(steps: int) -> float:
        end = odes.integrate(lambda t, x: x * t.cos(), start, steps, solver, end=2.0)[-1]
        return (end - math.exp(math.sin(2))).abs().max().item()

    assert math.log2(error(20) / error(40)) == pytest.approx(order, abs=0.35)


@pytest.mark.parametrize(("solver", "degree"), [("euler", 0), ("midpoint", 1), ("rk4", 3)])
def test_polynomials_of_time_are_exact_up_to_the_order(solver: odes.Solver, degree: int) -> None:
    start = torch.zeros(1, dtype=torch.float64)
    states = odes.integrate(lambda t, x: t**degree * torch.ones(1), start, 3, solver, end=1.5)
    wanted = torch.linspace(0, 1.5, 4).double()[:, None] ** (degree + 1) / (degree + 1)
    torch.testing.assert_close(states, wanted)


@pytest.mark.parametrize("solver", FIXED)
def test_fixed_steps_are_those_of_torchdiffeq_to_the_bit(solver: odes.Solver) -> None:
    def field(t: Tensor, p: Tensor) -> Tensor:
        return (p + t).sin() * p

    start = torch.randn(5, 7, generator=Generator().manual_seed(0))
    times = torch.linspace(0, 0.7, 4)
    assert torch.equal(
        odes.integrate(field, start, 3, solver, end=0.7), odeint(field, start, times, method=solver)
    )


def test_no_steps_is_the_start_and_the_end_is_where_it_is_asked() -> None:
    start = torch.ones(3, dtype=torch.float64)
    assert torch.equal(odes.integrate(decay, start, 0, "rk4"), start[None])
    end = odes.integrate(decay, start, 10, "dopri5", end=0.5, tolerance=1e-8)[-1]
    torch.testing.assert_close(end, start * math.exp(-0.5), rtol=1e-6, atol=0)


def test_dopri5_is_as_exact_as_asked_and_no_more() -> None:
    start = torch.ones(1, dtype=torch.float64)

    def error(tolerance: float) -> float:
        end = odes.integrate(lambda t, x: x * t.cos(), start, 1, "dopri5", tolerance=tolerance)[-1]
        return abs(end.item() - math.exp(math.sin(1)))

    assert error(1e-9) < 1e-8 < error(1e-2)


@pytest.mark.parametrize("solver", ["rk4", "dopri5"])
def test_adjoint_gradient_is_the_gradient(solver: odes.Solver) -> None:
    rate = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    start = torch.ones(1, dtype=torch.float64)
    states = odes.integrate(
        lambda _, p: -rate * p, start, 20, solver, tolerance=1e-7, adjoint=(rate,)
    )
    assert states.shape == (21, 1)
    states[-1].sum().backward()
    assert rate.grad is not None
    assert rate.grad.item() == pytest.approx(-math.exp(-1), rel=1e-4)


def moving(attention: bool, d: int = 5, width: int = 6) -> dict[str, Tensor]:
    """A network with none of its zeros left."""
    net = odes.new_velocity(d, width, attention, Generator().manual_seed(0))
    g = Generator().manual_seed(1)
    return {name: p + 0.3 * torch.randn(p.shape, generator=g) for name, p in net.items()}


@pytest.mark.parametrize("attention", [True, False])
def test_the_field_is_the_block_written_out(attention: bool) -> None:
    net = moving(attention)
    g = Generator().manual_seed(2)
    p, support = torch.randn(4, 5, generator=g), torch.randn(4, 6, generator=g)
    found = odes.velocity(net, p, support, torch.tensor(0.3), heads=2)

    a = {name: value.double().numpy() for name, value in net.items()}
    phi = np.vectorize(lambda x: x * (1 + math.erf(x / 2**0.5)) / 2)

    def layer(name: str, x: np.ndarray) -> np.ndarray:
        return x @ a[f"{name}.weight"].T + a[f"{name}.bias"]

    def norm(x: np.ndarray) -> np.ndarray:
        mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        return (x - mean) / np.sqrt(var + 1e-5)

    time = layer("time.1", phi(layer("time.0", np.array([0.3]))))
    h = norm(layer("prototype", p.double().numpy()) + support.double().numpy()) + time
    if attention:
        q, k, v = np.split(layer("attention.in", norm(h)), 3, axis=1)
        heads = []
        for part in (slice(0, 3), slice(3, 6)):
            e = np.exp(q[:, part] @ k[:, part].T / 3**0.5)
            heads.append(e / e.sum(1, keepdims=True) @ v[:, part])
        h = h + layer("attention.out", np.concatenate(heads, axis=1))
    h = h + layer("mlp.1", phi(layer("mlp.0", norm(h))))
    np.testing.assert_allclose(found.numpy(), layer("out", norm(h)), atol=1e-4)


def test_permuting_the_classes_permutes_the_field() -> None:
    net, order = moving(True), torch.tensor([2, 0, 3, 1])
    p, support = torch.randn(3, 4, 5), torch.randn(3, 4, 6)
    found = odes.velocity(net, p[:, order], support[:, order], torch.tensor(0.3), 2)
    wanted = odes.velocity(net, p, support, torch.tensor(0.3), 2)[:, order]
    torch.testing.assert_close(found, wanted)


def test_without_attention_each_class_moves_alone() -> None:
    net, p, support = moving(False), torch.randn(4, 5), torch.randn(4, 6)
    other = torch.cat([p[:1], p[1:] + 1])
    t = torch.tensor(0.5)
    alone, together = (odes.velocity(net, x, support, t, 2)[0] for x in (p, other))
    torch.testing.assert_close(alone, together)


@pytest.mark.parametrize("attention", [True, False])
def test_untrained_it_is_zero(attention: bool) -> None:
    net = odes.new_velocity(5, 6, attention, Generator().manual_seed(0))
    assert ("attention.in.weight" in net) == attention
    assert not odes.velocity(net, torch.randn(4, 5), torch.randn(4, 6), torch.tensor(0.5), 2).any()
