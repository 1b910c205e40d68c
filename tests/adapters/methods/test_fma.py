"""FMA's identities, its targets in closed form, its schedule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator, Tensor
from torch.nn.functional import normalize

from adapters import compose
from adapters.maths import flows, training
from tests.adapters import synthetic, whurs19

FMA = compose.get("fma")
EPISODE, TEST = synthetic.episode()
TARGETS = ["paper", "interpolant", "endpoint"]


def fit(**settings: Any) -> tuple[Any, dict[str, Tensor]]:
    config = FMA.config(**{"width": 32, "steps": 20, **settings})
    return config, FMA.fit(EPISODE, config, Generator().manual_seed(0))


def net_of(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix("net."): v for k, v in state.items() if k.startswith("net.")}


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=Generator().manual_seed(seed))


@pytest.mark.parametrize("solver", ["euler", "midpoint", "rk4", "dopri5"])
@pytest.mark.parametrize("m", [0, 1, 10])
def test_untrained_it_is_zero_shot_at_any_m(m: int, solver: str) -> None:
    config, state = fit(steps=0, inference_steps=m, solver=solver)
    zero = compose.get("zero-shot")
    wanted = zero.logits(zero.fit(EPISODE, zero.config(), Generator()), zero.config(), TEST.x)
    torch.testing.assert_close(FMA.logits(state, config, TEST.x), wanted)


def test_the_network_has_the_published_number_of_parameters() -> None:
    for blocks, wanted in ((6, 9.33e6), (12, 17.22e6)):
        net = flows.new_velocity(512, 512, blocks, Generator())
        assert sum(p.numel() for p in net.values()) == pytest.approx(wanted, rel=1e-3)


def test_one_euler_step_is_bit_for_bit_a_tenth_of_the_velocity() -> None:
    _, state = fit()
    x0, net = normalize(TEST.x, dim=-1), net_of(state)
    *_, x1 = flows.euler(net, x0, 1)
    assert torch.equal(x1, x0 + 0.1 * flows.velocity(net, x0, torch.tensor(0.0)))
    assert not torch.equal(x1, x0)


def test_a_toy_flow_lands_on_its_target() -> None:
    x0, x1 = normalize(normal(4, 8, seed=1), dim=-1), normalize(normal(4, 8, seed=2), dim=-1)
    net, t = (
        flows.new_velocity(8, 64, 1, Generator().manual_seed(0)),
        torch.arange(10)[:, None] / 10,
    )

    def loss(net: flows.Net, _: int) -> Tensor:
        x, wanted = flows.path("interpolant", x0, x1, t[..., None], None, 0.0)
        u = flows.velocity(net, x, t)
        return flows.regression("interpolant", u, wanted, t[..., None])

    net = training.adamw(net, loss, range(600), 3e-3, training.warm_cosine(600, 60))
    *_, end = flows.euler(net, x0, 10)
    torch.testing.assert_close(end, x1, atol=0.02, rtol=0)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("gamma", [0.0, 0.5])
@pytest.mark.parametrize("times", ["euler", "uniform"])
def test_training_is_finite(target: str, gamma: float, times: str) -> None:
    _, state = fit(target=target, gamma=gamma, times=times, steps=10)
    assert all(value.isfinite().all() for value in state.values())


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("end", [0.0, 1.0])
def test_no_noise_no_singularity(target: Any, end: float) -> None:
    x0, x1, t = normal(6, 4, seed=1), normal(6, 4, seed=2), torch.full((6, 1), end)
    x, wanted = flows.path(target, x0, x1, t, None, 0.0)
    assert torch.equal(x, x1 if end else x0)
    assert torch.equal(wanted, x1 - x0)


def test_paper_target_points_from_the_noisy_state_to_the_end() -> None:
    x0, x1, eps = normal(6, 4, seed=1), normal(6, 4, seed=2), normal(6, 4, seed=3)
    t = torch.linspace(0.05, 0.95, 6)[:, None]
    x, wanted = flows.path("paper", x0, x1, t, eps, 1.0)
    torch.testing.assert_close(wanted, (x1 - x) / (1 - t))


def test_interpolant_target_is_the_derivative_of_its_path() -> None:
    x0, x1, eps = (normal(6, 4, seed=s).double() for s in (1, 2, 3))
    t, h = torch.linspace(0.05, 0.95, 6)[:, None].double(), 1e-6
    _, wanted = flows.path("interpolant", x0, x1, t, eps, 0.3)
    later, _ = flows.path("interpolant", x0, x1, t + h, eps, 0.3)
    earlier, _ = flows.path("interpolant", x0, x1, t - h, eps, 0.3)
    torch.testing.assert_close((later - earlier) / (2 * h), wanted, rtol=1e-6, atol=1e-6)


def test_endpoint_loss_is_the_error_of_the_implied_end() -> None:
    x0, x1, u = normal(6, 4, seed=1), normal(6, 4, seed=2), normal(6, 4, seed=3)
    t = torch.linspace(0, 0.9, 6)[:, None]
    x, wanted = flows.path("endpoint", x0, x1, t, None, 0.0)
    implied = x + (1 - t) * u
    error = (implied - x1).square().sum(-1).mean()
    torch.testing.assert_close(flows.regression("endpoint", u, wanted, t), error)


@pytest.mark.parametrize(("warm", "peak"), [(1, 1.0), (2, 0.5), (5, 0.8), (24, 23 / 24)])
def test_released_schedule(warm: int, peak: float) -> None:
    factors = training.released_fma(200 * warm, warm)
    assert len(factors) == 200 * warm
    assert factors[0] == 1.0
    assert max(factors[1:]) == pytest.approx(peak, rel=1e-3)
    assert factors[-1] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("solver", ["midpoint", "rk4", "dopri5"])
def test_solvers_follow_the_same_flow(solver: str) -> None:
    config, state = fit(inference_steps=10, solver=solver)
    reference, _ = fit(inference_steps=10, solver="rk4")
    a, b = (FMA.logits(state, c, TEST.x) for c in (config, reference))
    torch.testing.assert_close(a, b, atol=0.5, rtol=0)


@pytest.mark.parametrize("preset", ["code", "paper"])
def test_presets_train(preset: str) -> None:
    config = FMA.config(**{**FMA.presets[preset], "epochs": 2, "blocks": 1})
    state = FMA.fit(EPISODE, config, Generator().manual_seed(0))
    assert FMA.logits(state, config, TEST.x).isfinite().all()


@pytest.mark.slow
@pytest.mark.parametrize(("shots", "least"), [(4, 94.3), (16, 97.8)])
def test_measured(shared_data: Path, shots: int, least: float) -> None:
    assert whurs19.mean_accuracy(shared_data, "fma", shots) >= least
