"""FMA: its identities, its training and its ways of following the flow, written out again."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator, Tensor
from torch.nn.functional import normalize
from torchdiffeq import odeint

from adapters import compose
from adapters.episode import Episode, Text
from adapters.maths import closed_flow, flows
from tests.adapters import synthetic, whurs19
from tests.adapters.methods import settings

FMA = compose.get("fma")
EPISODE, TEST = synthetic.episode()
VIEWS, _ = synthetic.episode(shots=4, views=3)
TARGETS = ["paper", "interpolant", "endpoint"]
SMALL: dict[str, Any] = {"width": 32, "steps": 20}


def fit(episode: Episode = EPISODE, **settings: Any) -> tuple[Any, dict[str, Tensor]]:
    config = FMA.config(**(SMALL | settings))
    return config, FMA.fit(episode, config, Generator().manual_seed(0))


def net_of(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix("net."): v for k, v in state.items() if k.startswith("net.")}


def zero_shot() -> Tensor:
    zero = compose.get("zero-shot")
    return zero.logits(zero.fit(EPISODE, zero.config(), Generator()), zero.config(), TEST.x)


def cosines(state: dict[str, Tensor], x: Tensor) -> Tensor:
    return 100 * normalize(x, dim=-1) @ state["text"].T


def test_settings() -> None:
    settings.check(
        "fma",
        {
            "readout": ("last", ("last", "ensemble")),
            "beta": (1.0, "(0, inf)"),
            "ridge": (0.01, "(0, inf)"),
            "exact_rows": (2000, "[0, inf)"),
            "landmarks": (1000, "[1, inf)"),
            "inference_steps": (7, "[0, 10]"),
            "solver": ("euler", ("euler", "midpoint", "rk4", "dopri5", "closed-form")),
            "target": ("interpolant", ("paper", "interpolant", "endpoint")),
            "gamma": (0.0, "[0, inf)"),
            "times": ("euler", ("euler", "uniform")),
            "clamp": (0.001, "(0, 0.5)"),
            "blocks": (3, "[0, inf)"),
            "width": (256, "[0, inf)"),
            "batch": (80, "[1, inf)"),
            "epochs": (0, "[0, inf)"),
            "steps": (250, "[0, inf)"),
            "learning_rate": (0.002, "(0, inf)"),
            "weight_decay": (0.01, "[0, inf)"),
            "warm_up": ("clean", ("clean", "released")),
        },
        {
            "closed-form": {"solver": "closed-form"},
            "long": {"steps": 500, "learning_rate": 0.001},
            "code": {
                "times": "uniform",
                "width": 0,
                "batch": 32,
                "epochs": 200,
                "learning_rate": 0.0002,
                "blocks": 12,
                "warm_up": "released",
            },
            "paper": {
                "times": "uniform",
                "width": 0,
                "batch": 32,
                "epochs": 200,
                "learning_rate": 0.0002,
                "blocks": 6,
                "target": "paper",
            },
        },
    )
    assert FMA.criterion == "cross-entropy"


@pytest.mark.parametrize("solver", ["euler", "midpoint", "rk4", "dopri5"])
@pytest.mark.parametrize("m", [0, 1, 10])
def test_untrained_it_is_zero_shot_at_any_m(m: int, solver: str) -> None:
    config, state = fit(steps=0, inference_steps=m, solver=solver)
    torch.testing.assert_close(FMA.logits(state, config, TEST.x), zero_shot())


@pytest.mark.parametrize("solver", ["euler", "midpoint", "closed-form"])
def test_at_m_0_it_is_zero_shot_however_it_was_trained(solver: str) -> None:
    config, state = fit(inference_steps=0, solver=solver)
    torch.testing.assert_close(FMA.logits(state, config, TEST.x), zero_shot())


def batches(episode: Episode, config: Any, g: Generator) -> list[Tensor]:
    """Which pictures each step sees: shuffled epochs, or drawn with replacement."""
    n = len(episode.support.labels)
    if config.epochs == 0:
        return [torch.randint(n, (config.batch,), generator=g) for _ in range(config.steps)]
    orders = [torch.randperm(n, generator=g) for _ in range(config.epochs)]
    return [order[i : i + config.batch] for order in orders for i in range(0, n, config.batch)]


def rates(config: Any, steps: int, an_epoch: int) -> Iterator[float]:
    """The learning rate of each step: a linear rise over an epoch, then half a cosine."""
    for i in range(steps):
        if config.warm_up == "clean":
            rise, fall = (i + 1) / an_epoch, (i - an_epoch) / max(steps - an_epoch, 1)
        else:  # the first step at the full rate, a rise that stops short, a fall from there to 0
            rise = i / an_epoch if i else 1.0
            fall = (i - an_epoch + 1) / (steps - an_epoch)
        if i < an_epoch:
            yield config.learning_rate * rise
        else:
            peak = 1.0 if config.warm_up == "clean" else (an_epoch - 1) / an_epoch
            yield config.learning_rate * peak * (1 + math.cos(math.pi * fall)) / 2


def trained_by_hand(episode: Episode, config: Any, an_epoch: int) -> dict[str, Tensor]:
    """The training in a plain loop over single pairs of a state and a velocity."""
    g = Generator().manual_seed(0)
    views, labels = normalize(episode.support.views, dim=-1), episode.support.labels
    text = episode.text.unit()
    net = flows.new_velocity(16, config.width or 16, config.blocks, g)
    net = {name: p.requires_grad_() for name, p in net.items()}
    steps = batches(episode, config, g)
    adam = torch.optim.AdamW(
        net.values(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    for rows, rate in zip(steps, rates(config, len(steps), an_epoch), strict=True):
        b = len(rows)
        if config.times == "uniform":
            t = torch.rand(b, generator=g)
        elif b % 10:  # 0, 0.1, ..., 0.9, 0, ...
            t = torch.tensor([(i % 10) / 10 for i in range(b)])
        else:  # the first tenth of the pictures at 0, the next at 0.1, ...
            t = torch.tensor([(i // (b // 10)) / 10 for i in range(b)])
        view = torch.zeros(b, dtype=torch.long)
        if len(views) > 1:
            view = torch.randint(len(views), (b,), generator=g)
        x0, x1 = views[view, rows], text[labels[rows]]
        if config.gamma:
            t = t.clamp(config.clamp, 1 - config.clamp)
            eps = torch.randn(b, 16, generator=g)
        t = t[:, None]
        x, u = (1 - t) * x0 + t * x1, x1 - x0
        weight = (1 - t) ** 2 if config.target == "endpoint" else torch.ones_like(t)
        if config.gamma and config.target == "paper":
            x = x + config.gamma * (t * (1 - t)).sqrt() * x.std(1, keepdim=True) * eps
            u = (x1 - x) / (1 - t)
        if config.gamma and config.target == "interpolant":
            x = x + config.gamma * (t * (1 - t)).sqrt() * eps
            u = u + config.gamma * (1 - 2 * t) / (2 * (t * (1 - t)).sqrt()) * eps
        adam.param_groups[0]["lr"] = rate
        adam.zero_grad()
        errors = (flows.velocity(net, x, t.squeeze(1)) - u).square()
        (weight * errors).sum(1).mean().backward()
        adam.step()
    return {name: p.detach() for name, p in net.items()}


@pytest.mark.parametrize(
    ("overrides", "an_epoch"),
    [
        ({"batch": 20}, 2),
        ({"batch": 7, "steps": 9}, 1),  # less than a tenth is still a step of warm-up
        ({"batch": 13, "learning_rate": 0.01, "weight_decay": 0.3}, 2),
        ({"batch": 20, "gamma": 0.4, "clamp": 0.02}, 2),
        ({"batch": 20, "gamma": 0.4, "target": "paper", "width": 0, "blocks": 1}, 2),
        ({"batch": 6, "epochs": 5, "times": "uniform"}, 4),  # 20 pictures: 4 steps an epoch
        ({"batch": 6, "epochs": 5, "times": "uniform", "warm_up": "released"}, 4),
        ({"batch": 6, "epochs": 3, "times": "uniform", "gamma": 0.4, "clamp": 0.1}, 4),
        ({"batch": 8, "target": "endpoint", "steps": 30, "warm_up": "released"}, 3),
    ],
)
def test_training_is_the_regression_written_out(overrides: dict[str, Any], an_epoch: int) -> None:
    config, state = fit(VIEWS, **overrides)
    wanted = trained_by_hand(VIEWS, config, an_epoch)
    found = net_of(state)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, atol=1e-5, rtol=1e-3)
    torch.testing.assert_close(state["text"], VIEWS.text.unit())
    assert state["logit_scale"] == 100


def test_without_noise_the_clamp_does_nothing() -> None:
    near, far = (fit(times="uniform", clamp=clamp)[1] for clamp in (0.001, 0.4))
    assert all(torch.equal(near[name], far[name]) for name in near)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("gamma", [0.0, 0.5])
@pytest.mark.parametrize("times", ["euler", "uniform"])
def test_training_is_finite(target: str, gamma: float, times: str) -> None:
    _, state = fit(target=target, gamma=gamma, times=times, steps=10)
    assert all(value.isfinite().all() for value in state.values())


@pytest.mark.parametrize("m", [1, 6, 10])
def test_euler_takes_m_steps_of_a_tenth_and_forgets_no_length(m: int) -> None:
    config, state = fit(inference_steps=m)
    x = normalize(TEST.x, dim=-1)
    for i in range(m):
        x = x + 0.1 * flows.velocity(net_of(state), x, torch.tensor(i / 10))
    torch.testing.assert_close(FMA.logits(state, config, TEST.x), cosines(state, x))


def test_one_euler_step_is_bit_for_bit_a_tenth_of_the_velocity() -> None:
    config, state = fit()
    x0, net = normalize(TEST.x, dim=-1), net_of(state)
    x1 = FMA.trajectory(state, config, TEST.x)[1]
    assert torch.equal(x1, x0 + 0.1 * flows.velocity(net, x0, torch.tensor(0.0)))
    assert not torch.equal(x1, x0)


@pytest.mark.parametrize("solver", ["midpoint", "rk4", "dopri5"])
@pytest.mark.parametrize("m", [1, 5, 10])
def test_solvers_follow_the_flow_to_m_tenths_of_its_time(solver: str, m: int) -> None:
    config, state = fit(inference_steps=m, solver=solver)
    start, times = normalize(TEST.x, dim=-1), torch.linspace(0, m / 10, m + 1)

    def field(t: Tensor, x: Tensor) -> Tensor:
        return flows.velocity(net_of(state), x, t)

    end = odeint(field, start, times, method=solver, rtol=1e-3, atol=1e-3)[-1]
    assert (end - start).norm(dim=1).min() > 0.01  # there is a way to go
    found = FMA.logits(state, config, TEST.x)
    torch.testing.assert_close(found, cosines(state, end), atol=1e-3, rtol=0)


@pytest.mark.parametrize("solver", ["euler", "rk4", "closed-form"])
def test_the_ensemble_is_the_mean_probability_before_three_steps(solver: str) -> None:
    config, state = fit(solver=solver, readout="ensemble", steps=60)
    found = FMA.logits(state, config, TEST.x).exp()
    steps = [replace(config, readout="last", inference_steps=m) for m in (0, 4, 8)]
    wanted = sum(FMA.logits(state, c, TEST.x).softmax(1) for c in steps) / 3
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("solver", ["euler", "midpoint", "closed-form"])
def test_the_trajectory_is_all_ten_steps_from_the_unit_embedding(solver: str) -> None:
    config, state = fit(solver=solver)
    assert FMA.trajectory is not None
    states = FMA.trajectory(state, config, TEST.x[:3])
    assert states.shape == (11, 3, 16)
    torch.testing.assert_close(states[0], normalize(TEST.x[:3], dim=-1))
    for m in (0, 7, 10):
        found = FMA.logits(state, replace(config, inference_steps=m), TEST.x[:3])
        torch.testing.assert_close(found, cosines(state, states[m]))


def test_the_search_is_over_every_m_from_zero_shot_on() -> None:
    assert FMA.space(FMA.config()).logits == {"inference_steps": tuple(range(11))}
    assert FMA.space(FMA.config()).fit == {}
    ensemble = FMA.space(FMA.config(readout="ensemble"))
    assert (ensemble.fit, ensemble.logits) == ({}, {})


def test_one_pass_gives_the_steps_that_were_asked_for_and_no_others() -> None:
    config, state = fit()
    found = list(FMA.scores(state, config, TEST.x, {"inference_steps": [2, 9]}))
    assert [choice for choice, _ in found] == [{"inference_steps": 2}, {"inference_steps": 9}]
    for choice, logits in found:
        torch.testing.assert_close(logits, FMA.logits(state, replace(config, **choice), TEST.x))


@pytest.mark.parametrize(("rows", "landmarks"), [(19, 9), (20, 20)])
def test_the_closed_form_solves_from_mean_views_to_texts(rows: int, landmarks: int) -> None:
    settings = {"beta": 2.0, "ridge": 0.3, "exact_rows": rows, "landmarks": 9}
    config, state = fit(VIEWS, solver="closed-form", **settings)
    x1 = VIEWS.text.unit()[VIEWS.support.labels]
    chance = Generator().manual_seed(0)
    flow = closed_flow.fit(VIEWS.support.keys(), x1, 2.0, 0.3, landmarks, chance)
    found = net_of(state)
    assert found.keys() == flow.keys()
    assert all(torch.equal(found[name], flow[name]) for name in flow)
    *_, end = closed_flow.euler(flow, normalize(TEST.x, dim=-1), 7)
    torch.testing.assert_close(FMA.logits(state, config, TEST.x), cosines(state, end))


def test_only_the_network_is_a_training() -> None:
    assert FMA.prepare is not None
    assert FMA.prepare(EPISODE, FMA.config(solver="closed-form"), Generator()) is None
    training = FMA.prepare(EPISODE, FMA.config(**SMALL), Generator())
    assert training is not None
    assert training.stacks
    assert len(training.schedule) == 20


def test_new_classes_are_other_ends_of_the_same_flow() -> None:
    config, state = fit()
    assert FMA.with_text is not None
    one = EPISODE.text
    text = Text(one.prompts[[3, 1]], one.mask[[3, 1]], ("d", "b"))
    renamed = FMA.with_text(state, config, text)
    found = FMA.logits(renamed, config, TEST.x)
    torch.testing.assert_close(found, FMA.logits(state, config, TEST.x)[:, [3, 1]])


@pytest.mark.parametrize("preset", ["code", "paper"])
def test_presets_train(preset: str) -> None:
    config = FMA.config(**{**FMA.presets[preset], "epochs": 2, "blocks": 1})
    state = FMA.fit(EPISODE, config, Generator().manual_seed(0))
    assert FMA.logits(state, config, TEST.x).isfinite().all()


@pytest.mark.slow
@pytest.mark.parametrize(("shots", "least"), [(4, 94.3), (16, 97.8)])
def test_measured(shared_data: Path, shots: int, least: float) -> None:
    assert whurs19.mean_accuracy(shared_data, "fma", shots) >= least
