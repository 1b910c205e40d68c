"""The ODE solvers' orders of convergence, and the identities of NODE-Adapter-R."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator, Tensor
from torch.nn.functional import normalize
from torchdiffeq import odeint

from adapters import compose
from adapters.maths import odes, training
from tests.adapters import synthetic, whurs19

NODE = compose.get("node-adapter")
EPISODE, TEST = synthetic.episode()


def fit(**settings: Any) -> tuple[Any, dict[str, Tensor]]:
    config = NODE.config(**{"iterations": 10, **settings})
    return config, NODE.fit(EPISODE, config, Generator().manual_seed(0))


def decay(t: Tensor, p: Tensor) -> Tensor:
    return -p


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("midpoint", 2), ("rk4", 4)])
def test_order_of_convergence(solver: odes.Solver, order: int) -> None:
    start = torch.ones(3, dtype=torch.float64)

    def error(steps: int) -> float:
        end = odes.integrate(decay, start, steps, solver)[-1]
        return (end - math.exp(-1)).abs().max().item()

    assert math.log2(error(8) / error(16)) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize("solver", ["euler", "midpoint", "rk4"])
def test_fixed_steps_are_those_of_torchdiffeq_to_the_bit(solver: odes.Solver) -> None:
    def field(t: Tensor, p: Tensor) -> Tensor:
        return (p + t).sin() * p

    start, times = (
        torch.randn(5, 7, generator=Generator().manual_seed(0)),
        torch.linspace(0, 0.7, 4),
    )
    assert torch.equal(
        odes.integrate(field, start, 3, solver, end=0.7), odeint(field, start, times, method=solver)
    )


def test_no_steps_is_the_start_and_the_end_is_where_it_is_asked() -> None:
    start = torch.ones(3, dtype=torch.float64)
    assert torch.equal(odes.integrate(decay, start, 0, "rk4"), start[None])
    end = odes.integrate(decay, start, 10, "dopri5", end=0.5, tolerance=1e-8)[-1]
    torch.testing.assert_close(end, start * math.exp(-0.5), rtol=1e-6, atol=0)


def test_adjoint_gradient_is_the_gradient() -> None:
    rate = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    start = torch.ones(1, dtype=torch.float64)
    end = odes.integrate(lambda _, p: -rate * p, start, 20, "rk4", adjoint=(rate,))[-1]
    end.sum().backward()
    assert rate.grad is not None
    assert rate.grad.item() == pytest.approx(-math.exp(-1), rel=1e-4)


@pytest.mark.parametrize("field", ["attention", "mlp"])
def test_untrained_the_prototypes_stay(field: str) -> None:
    _, state = fit(iterations=0, field=field)
    for p in state["prototypes"]:
        assert torch.equal(p, state["prototypes"][0])


def test_lambda_0_is_zero_shot() -> None:
    config, state = fit(iterations=0, mix="fixed", mix_value=0.0)
    zero = compose.get("zero-shot")
    wanted = zero.logits(zero.fit(EPISODE, zero.config(), Generator()), zero.config(), TEST.x)
    torch.testing.assert_close(NODE.logits(state, config, TEST.x), wanted)


def test_lambda_1_is_the_nearest_class_mean() -> None:
    config, state = fit(iterations=0, mix="fixed", mix_value=1.0)
    x = normalize(EPISODE.support.x, dim=-1)
    means = torch.stack([x[EPISODE.support.labels == c].mean(0) for c in range(EPISODE.classes)])
    wanted = 100 * normalize(TEST.x, dim=-1) @ normalize(means, dim=-1).T
    torch.testing.assert_close(NODE.logits(state, config, TEST.x), wanted)


@pytest.mark.parametrize("mix", ["feature", "class", "fixed"])
def test_training_moves_the_prototypes(mix: str) -> None:
    _, state = fit(mix=mix)
    assert not torch.allclose(state["prototypes"][-1], state["prototypes"][0])


def test_rk4_and_dopri5_agree() -> None:
    ends = [fit(solver=solver)[1]["prototypes"][-1] for solver in ("rk4", "dopri5")]
    torch.testing.assert_close(*ends, atol=1e-3, rtol=0)


def test_adjoint_trains_as_back_propagation_does() -> None:
    states = [fit(adjoint=adjoint, steps=8, iterations=3)[1] for adjoint in (False, True)]
    ends = [state["prototypes"][-1] for state in states]
    torch.testing.assert_close(*ends, atol=1e-2, rtol=0)


@pytest.mark.parametrize(("shots", "wanted"), [(1, 0), (2, 1), (3, 2), (8, 4), (16, 8)])
def test_a_share_of_each_class_is_held_out(shots: int, wanted: int) -> None:
    labels = torch.arange(5).repeat(shots)
    out = training.held_out(labels, 5, 0.5, Generator().manual_seed(0))
    assert torch.bincount(labels[out], minlength=5).tolist() == [wanted] * 5


@pytest.mark.parametrize("shots", [1, 2])
def test_too_few_pictures_keep_their_prototypes(shots: int) -> None:
    episode, _ = synthetic.episode(shots)
    state = NODE.fit(episode, NODE.config(), Generator().manual_seed(0))
    assert torch.equal(state["prototypes"][-1], state["prototypes"][0])


@pytest.mark.slow
@pytest.mark.parametrize(("shots", "least"), [(4, 94.0), (16, 97.5)])
def test_measured(shared_data: Path, shots: int, least: float) -> None:
    assert whurs19.mean_accuracy(shared_data, "node-adapter", shots) >= least
