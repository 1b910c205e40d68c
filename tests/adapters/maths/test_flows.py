"""The velocity network written out again, the three targets in closed form, Euler's steps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor
from torch.nn.functional import normalize

from adapters.maths import flows, training

TARGETS = ["paper", "interpolant", "endpoint"]
TIMES = torch.linspace(0.05, 0.95, 6)[:, None]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=Generator().manual_seed(seed))


def moving(d: int, width: int, blocks: int) -> dict[str, Tensor]:
    """A network with none of its zeros left."""
    net = flows.new_velocity(d, width, blocks, Generator().manual_seed(0))
    g = Generator().manual_seed(1)
    return {name: p + 0.3 * torch.randn(p.shape, generator=g) for name, p in net.items()}


def test_the_network_has_the_published_number_of_parameters() -> None:
    for blocks, wanted in ((6, 9.33e6), (12, 17.22e6)):
        net = flows.new_velocity(512, 512, blocks, Generator())
        assert sum(p.numel() for p in net.values()) == pytest.approx(wanted, rel=1e-3)


def test_it_starts_as_published() -> None:
    """Xavier, but for the times (normal, 0.02) and for what makes the field 0 at first."""
    net = flows.new_velocity(60, 400, 1, Generator().manual_seed(0))
    for name in ("time.0", "time.1"):
        assert net[f"{name}.weight"].std().item() == pytest.approx(0.02, rel=0.02)
        assert net[f"{name}.weight"].abs().max() > 0.06  # not uniform
    for name, columns in (("in", 60), ("block0.0", 400), ("block0.1", 400)):
        bound = math.sqrt(6 / (400 + columns))
        assert net[f"{name}.weight"].abs().max().item() == pytest.approx(bound, rel=1e-2)
        assert net[f"{name}.weight"].std().item() == pytest.approx(bound / 3**0.5, rel=0.02)
    for name in ("block0.modulation", "out.modulation", "out"):
        assert not net[f"{name}.weight"].any()
    assert all(not p.any() for name, p in net.items() if name.endswith(".bias"))
    assert (net["block0.norm.weight"] == 1).all()
    shapes = {name: tuple(p.shape) for name, p in net.items() if name.endswith(".weight")}
    assert shapes["block0.modulation.weight"] == (1200, 400)
    assert shapes["out.modulation.weight"] == (800, 400)
    assert shapes["out.weight"] == (60, 400)
    assert shapes["time.0.weight"] == (400, 256)


@pytest.mark.parametrize("blocks", [0, 2])
def test_untrained_it_is_zero_wherever(blocks: int) -> None:
    net = flows.new_velocity(5, 8, blocks, Generator().manual_seed(0))
    assert not flows.velocity(net, normal(7, 5), torch.linspace(0, 1, 7)).any()


def by_hand(net: dict[str, Tensor], x: Tensor, t: float, blocks: int) -> np.ndarray:
    """The field at one state and one time, in NumPy."""
    p = {name: value.double().numpy() for name, value in net.items()}

    def layer(name: str, x: np.ndarray) -> np.ndarray:
        return p[f"{name}.weight"] @ x + p[f"{name}.bias"]

    def silu(x: np.ndarray) -> np.ndarray:
        return x / (1 + np.exp(-x))

    def norm(x: np.ndarray) -> np.ndarray:
        return (x - x.mean()) / np.sqrt(x.var() + 1e-6)

    angles = np.array([1000 * t * math.exp(-math.log(1e4) * i / 128) for i in range(128)])
    time = silu(layer("time.1", silu(layer("time.0", np.r_[np.cos(angles), np.sin(angles)]))))
    h = layer("in", x.double().numpy())
    for b in range(blocks):
        shift, scale, gate = np.split(layer(f"block{b}.modulation", time), 3)
        inner = norm(h) * p[f"block{b}.norm.weight"] + p[f"block{b}.norm.bias"]
        inner = inner * (1 + scale) + shift
        h = h + gate * layer(f"block{b}.1", silu(layer(f"block{b}.0", inner)))
    shift, scale = np.split(layer("out.modulation", time), 2)
    return layer("out", norm(h) * (1 + scale) + shift)


@pytest.mark.parametrize("blocks", [0, 1, 3])
def test_the_network_is_the_one_written_out(blocks: int) -> None:
    net, x, t = moving(5, 8, blocks), normal(4, 5, seed=2), torch.tensor([0.0, 0.013, 0.37, 1.0])
    found = flows.velocity(net, x, t)
    for row, state, time in zip(found, x, t.tolist(), strict=True):
        wanted = by_hand(net, state, time, blocks)
        np.testing.assert_allclose(row.numpy(), wanted, rtol=2e-3, atol=2e-3)


def test_times_are_shared_by_rows_that_broadcast() -> None:
    net, x = moving(5, 8, 1), normal(3, 4, 5)
    t = torch.tensor([0.0, 0.3, 0.9])
    shared = flows.velocity(net, x, t[:, None])
    for i in range(3):
        torch.testing.assert_close(shared[i], flows.velocity(net, x[i], t[i]))


def test_cosines_come_before_sines() -> None:
    found = flows.sinusoid(torch.tensor([0.0, 0.001]))
    assert found.shape == (2, 256)
    assert found[0].tolist() == [1.0] * 128 + [0.0] * 128
    assert found[1, 0].item() == pytest.approx(math.cos(1))
    assert found[1, 128].item() == pytest.approx(math.sin(1))
    slowest = 1e4 ** (-127 / 128)
    assert found[1, 255].item() == pytest.approx(math.sin(slowest), rel=1e-4)


def test_one_euler_step_is_bit_for_bit_a_tenth_of_the_velocity() -> None:
    net, x0 = moving(5, 8, 1), normal(6, 5)
    start, x1, x2 = flows.euler(net, x0, 2)
    assert torch.equal(start, x0)
    assert torch.equal(x1, x0 + 0.1 * flows.velocity(net, x0, torch.tensor(0.0)))
    assert torch.equal(x2, x1 + 0.1 * flows.velocity(net, x1, torch.tensor(0.1)))
    assert not torch.equal(x1, x0)


def test_no_steps_is_the_start() -> None:
    net, x0 = moving(5, 8, 1), normal(6, 5)
    assert [torch.equal(x, x0) for x in flows.euler(net, x0, 0)] == [True]


def test_a_toy_flow_lands_on_its_target() -> None:
    x0, x1 = normalize(normal(4, 8, seed=1), dim=-1), normalize(normal(4, 8, seed=2), dim=-1)
    net = flows.new_velocity(8, 64, 1, Generator().manual_seed(0))
    t = torch.arange(10)[:, None] / 10

    def loss(net: flows.Net, _: int) -> Tensor:
        x, wanted = flows.path("interpolant", x0, x1, t[..., None], None, 0.0)
        u = flows.velocity(net, x, t)
        return flows.regression("interpolant", u, wanted, t[..., None])

    net = training.adamw(net, loss, range(600), 3e-3, training.warm_cosine(600, 60))
    *_, end = flows.euler(net, x0, 10)
    torch.testing.assert_close(end, x1, atol=0.02, rtol=0)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("end", [0.0, 1.0])
def test_no_noise_no_singularity(target: Any, end: float) -> None:
    x0, x1, t = normal(6, 4, seed=1), normal(6, 4, seed=2), torch.full((6, 1), end)
    x, wanted = flows.path(target, x0, x1, t, None, 0.0)
    assert torch.equal(x, x1 if end else x0)
    assert torch.equal(wanted, x1 - x0)


def test_endpoint_has_no_noise_even_where_it_is_given() -> None:
    x0, x1, eps = (normal(6, 4, seed=s) for s in (1, 2, 3))
    x, wanted = flows.path("endpoint", x0, x1, TIMES, eps, 0.5)
    torch.testing.assert_close(x, x0 + TIMES * (x1 - x0))
    torch.testing.assert_close(wanted, x1 - x0)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 999), gamma=st.floats(0.01, 2))
def test_paper_target_points_from_the_noisy_state_to_the_end(seed: int, gamma: float) -> None:
    x0, x1, eps = (normal(6, 4, seed=seed + s).double() for s in (1, 2, 3))
    t = TIMES.double()
    x, wanted = flows.path("paper", x0, x1, t, eps, gamma)
    torch.testing.assert_close(wanted, (x1 - x) / (1 - t))
    clean = (1 - t) * x0 + t * x1
    spread = gamma * (t * (1 - t)).sqrt() * clean.std(1, keepdim=True)
    torch.testing.assert_close(x, clean + spread * eps)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 999), gamma=st.floats(0.01, 2))
def test_interpolant_target_is_the_derivative_of_its_path(seed: int, gamma: float) -> None:
    x0, x1, eps = (normal(6, 4, seed=seed + s).double() for s in (1, 2, 3))
    t, h = TIMES.double(), 1e-6
    x, wanted = flows.path("interpolant", x0, x1, t, eps, gamma)
    torch.testing.assert_close(x, (1 - t) * x0 + t * x1 + gamma * (t * (1 - t)).sqrt() * eps)
    later, _ = flows.path("interpolant", x0, x1, t + h, eps, gamma)
    earlier, _ = flows.path("interpolant", x0, x1, t - h, eps, gamma)
    torch.testing.assert_close((later - earlier) / (2 * h), wanted, rtol=1e-6, atol=1e-6)


def test_endpoint_loss_is_the_error_of_the_implied_end() -> None:
    x0, x1, u = normal(6, 4, seed=1), normal(6, 4, seed=2), normal(6, 4, seed=3)
    t = torch.linspace(0, 0.9, 6)[:, None]
    x, wanted = flows.path("endpoint", x0, x1, t, None, 0.0)
    implied = x + (1 - t) * u
    error = (implied - x1).square().sum(-1).mean()
    torch.testing.assert_close(flows.regression("endpoint", u, wanted, t), error)


@pytest.mark.parametrize("target", ["paper", "interpolant"])
def test_the_other_losses_sum_over_dimensions_and_average_over_pairs(target: Any) -> None:
    u, wanted = torch.tensor([[1.0, 2.0], [0.0, 3.0]]), torch.tensor([[0.0, 0.0], [0.0, 1.0]])
    found = flows.regression(target, u, wanted, torch.full((2, 1), 0.9))
    assert found.item() == pytest.approx((1 + 4 + 4) / 2)
