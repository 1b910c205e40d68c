"""Batches, splits, schedules summed by hand, and steps against torch.optim."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor

from adapters.maths import training


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


@settings(deadline=None)
@given(rows=st.integers(1, 40), batch=st.integers(1, 50), epochs=st.integers(0, 4))
def test_every_epoch_shows_every_row_once(rows: int, batch: int, epochs: int) -> None:
    found = list(training.shuffled(rows, batch, epochs, seeded()))
    an_epoch = math.ceil(rows / batch)
    assert len(found) == epochs * an_epoch
    for e in range(epochs):
        parts = found[e * an_epoch : (e + 1) * an_epoch]
        assert all(len(part) == batch for part in parts[:-1])
        assert torch.cat(parts).sort().values.tolist() == list(range(rows))


def test_epochs_have_orders_of_their_own() -> None:
    first, second = training.shuffled(30, 30, 2, seeded())
    assert first.tolist() != second.tolist()


def test_random_rows_are_with_replacement_and_all_alike() -> None:
    found = training.random_rows(5, 10000, seeded())
    shares = torch.bincount(found, minlength=5) / 10000
    torch.testing.assert_close(shares, torch.full((5,), 0.2), atol=0.02, rtol=0)


@pytest.mark.parametrize(("shots", "wanted"), [(1, 0), (2, 1), (3, 2), (8, 4), (16, 8)])
def test_a_share_of_each_class_is_held_out(shots: int, wanted: int) -> None:
    labels = torch.arange(5).repeat(shots)
    out = training.held_out(labels, 5, 0.5, seeded())
    assert torch.bincount(labels[out], minlength=5).tolist() == [wanted] * 5


@settings(deadline=None)
@given(
    labels=st.lists(st.integers(0, 4), min_size=1, max_size=40),
    share=st.floats(0.01, 0.99),
    seed=st.integers(0, 99),
)
def test_one_at_least_is_held_out_and_one_stays(labels: list[int], share: float, seed: int) -> None:
    of = torch.tensor(labels)
    out = training.held_out(of, 6, share, seeded(seed))
    for c in range(5):
        n, held = labels.count(c), int((out & (of == c)).sum())
        if n:
            assert held == min(max(round(n * share), 1), n - 1) or n * share % 1 == 0.5
    other = training.held_out(of, 6, share, seeded(seed + 100))
    assert torch.equal(torch.bincount(of[out]).sum(), torch.bincount(of[other]).sum())


def test_what_is_held_out_is_chance() -> None:
    labels = torch.zeros(4, dtype=torch.long)
    drawn = torch.stack([training.held_out(labels, 1, 0.5, seeded(s)) for s in range(400)])
    shares = drawn.double().mean(0)
    torch.testing.assert_close(shares, torch.full((4,), 0.5).double(), atol=0.1, rtol=0)


def test_one_view_at_random_of_each_row() -> None:
    views = torch.arange(3.0)[:, None, None] * 100 + torch.arange(5.0)[:, None]  # [3, 5, 1]
    rows = torch.tensor([4, 0, 4]).repeat(300)
    found = training.one_view(views, rows, seeded()).squeeze(1)
    assert torch.equal(found % 100, rows.float())
    shares = torch.bincount((found // 100).long(), minlength=3) / 900
    torch.testing.assert_close(shares, torch.full((3,), 1 / 3), atol=0.06, rtol=0)


def test_nothing_is_drawn_where_there_is_one_view() -> None:
    g = seeded()
    before = g.get_state()
    views = torch.randn(1, 5, 2, generator=seeded(1))
    rows = torch.tensor([[4, 0], [1, 1]])
    assert torch.equal(training.one_view(views, rows, g), views[0, rows])
    assert not training.random_views(1, (2, 3), g).any()
    assert training.random_views(1, (2, 3), g).shape == (2, 3)
    assert torch.equal(g.get_state(), before)
    assert training.random_views(4, (2, 3), g).shape == (2, 3)
    assert not torch.equal(g.get_state(), before)


def test_normal_noise_and_xaviers_bound() -> None:
    noise = training.normal((200, 50), seeded())
    assert noise.std().item() == pytest.approx(1, abs=0.02)
    assert noise.mean().item() == pytest.approx(0, abs=0.03)
    weight = training.xavier(200, 50, seeded())
    assert weight.shape == (200, 50)
    assert weight.abs().max().item() == pytest.approx(math.sqrt(6 / 250), rel=1e-2)


def test_layers_are_linear_with_biases_from_zero() -> None:
    net = training.layers({"a": torch.randn(3, 2, generator=seeded())})
    assert net.keys() == {"a.weight", "a.bias"}
    assert net["a.bias"].tolist() == [0, 0, 0]
    net["a.bias"] = torch.tensor([1.0, 2.0, 3.0])
    x = torch.randn(4, 5, 2, generator=seeded(1))
    wanted = torch.einsum("ij,abj->abi", net["a.weight"], x) + net["a.bias"]
    torch.testing.assert_close(training.apply(net, "a", x), wanted)


def test_the_cosine_falls_from_one_and_stops_before_zero() -> None:
    assert training.cosine(4) == pytest.approx([1, 0.5 + 0.5**1.5, 0.5, 0.5 - 0.5**1.5])
    assert training.cosine(0) == []
    # Opposite steps make up a whole: the sum is (steps + 1) / 2.
    assert sum(training.cosine(101)) == pytest.approx(51)


@pytest.mark.parametrize(
    ("steps", "warm", "wanted"),
    [
        (6, 2, [0.5, 1, 1, 0.5 + 0.5**1.5, 0.5, 0.5 - 0.5**1.5]),
        (2, 4, [0.25, 0.5]),  # it ends on its way up
        (2, 1, [1, 1]),
        (0, 1, []),
    ],
)
def test_warm_cosine(steps: int, warm: int, wanted: list[float]) -> None:
    assert training.warm_cosine(steps, warm) == pytest.approx(wanted)


def test_warm_epoch_is_one_factor_an_epoch() -> None:
    fall = [1, 0.75, 0.25]  # the cosine over three epochs, the last of which is never run
    found = training.warm_epoch(3, 2, 0.01)
    assert found == pytest.approx([0.01] * 2 + [fall[0]] * 2 + [fall[1]] * 2)
    assert training.warm_epoch(0, 2, 0.01) == []
    assert training.warm_epoch(1, 3, 0.5) == [0.5] * 3


@pytest.mark.parametrize(("warm", "peak"), [(1, 1.0), (2, 0.5), (5, 0.8), (24, 23 / 24)])
def test_released_schedule(warm: int, peak: float) -> None:
    factors = training.released_fma(200 * warm, warm)
    assert len(factors) == 200 * warm
    assert factors[0] == 1.0
    assert max(factors[1:]) == pytest.approx(peak, rel=1e-3)
    assert factors[-1] == pytest.approx(0, abs=1e-9)


def test_released_schedule_by_hand() -> None:
    """Steps 1/4, 2/4, 3/4 after a first one at full rate, then 3/4 of a cosine's fall to 0."""
    fall = [0.75 * (1 + math.cos(math.pi * i / 4)) / 2 for i in range(1, 5)]
    assert training.released_fma(8, 4) == pytest.approx([1, 0.25, 0.5, 0.75, *fall])
    assert training.released_fma(2, 4) == [1, 0.25]


X = torch.randn(30, 4, generator=seeded(1))
Y = X @ torch.tensor([[1.0], [2.0], [-1.0], [0.5]]) + 0.1


def squares(p: training.Parameters, rows: Tensor) -> Tensor:
    return (X[rows] @ p["w"] + p["b"] - Y[rows]).square().mean()


def by_torch(optimiser: partial[torch.optim.Optimizer], rate: float) -> dict[str, Tensor]:
    p = {"w": torch.ones(4, 1, requires_grad=True), "b": torch.zeros(1, requires_grad=True)}
    step = optimiser(p.values())
    for factor, rows in zip([0.5, 1.0, 0.7, 0.1], torch.arange(20).split(5), strict=True):
        for group in step.param_groups:
            group["lr"] = rate * factor
        step.zero_grad()
        squares(p, rows).backward()
        step.step()
    return {name: each.detach() for name, each in p.items()}


START = {"w": torch.ones(4, 1), "b": torch.zeros(1)}
SCHEDULE = [0.5, 1.0, 0.7, 0.1]


def alone(optimiser: training.Optimiser) -> training.Training:
    """The training of `by_torch`, taken apart."""

    def loss(p: training.Parameters, data: training.Tensors, batch: training.Tensors) -> Tensor:
        return data["scale"] * squares(p, batch["rows"])

    return training.Training(
        start=START,
        loss=partial(loss),
        data={"scale": training.number(1.0)},
        batches=[{"rows": rows} for rows in torch.arange(20).split(5)],
        optimiser=optimiser,
        schedule=SCHEDULE,
        finish=dict,
    )


@pytest.mark.parametrize(("decay", "eps"), [(0.01, 1e-8), (0.3, 1e-2)])
def test_adamw_is_torchs(decay: float, eps: float) -> None:
    batches = torch.arange(20).split(5)
    found = training.adamw(START, squares, batches, 0.1, SCHEDULE, decay, eps)
    wanted = by_torch(partial(torch.optim.AdamW, lr=1, weight_decay=decay, eps=eps), 0.1)
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value)
        assert not found[name].requires_grad
    assert START["w"].tolist() == [[1.0]] * 4  # what was passed is as it was


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_is_torchs(momentum: float) -> None:
    found = training.fit(alone(training.by_sgd(0.05, momentum)))
    wanted = by_torch(partial(torch.optim.SGD, lr=1, momentum=momentum), 0.05)
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value)


def test_defaults_of_the_optimisers() -> None:
    assert training.by_adamw(0.1).keywords == {
        "lr": 0.1,
        "weight_decay": 0.01,
        "eps": 1e-8,
        "fused": True,
    }
    assert training.by_sgd(0.1).keywords == {
        "lr": 0.1, "momentum": 0.9, "weight_decay": 0.0, "fused": True
    }  # fmt: skip
    batches = torch.arange(20).split(5)
    short, full = (
        training.adamw(START, squares, batches, 0.1, SCHEDULE, **spelt)
        for spelt in ({}, {"weight_decay": 0.01, "eps": 1e-8})
    )
    assert all(torch.equal(short[name], full[name]) for name in short)


def test_a_training_does_alone_what_the_loop_does() -> None:
    found = training.fit(replace(alone(training.by_adamw(0.1)), finish=lambda p: {"end": p["w"]}))
    wanted = training.adamw(START, squares, torch.arange(20).split(5), 0.1, SCHEDULE)
    torch.testing.assert_close(found["end"], wanted["w"])
    assert found.keys() == {"end"}


def test_a_schedule_and_batches_of_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shorter|longer"):
        training.adamw(START, squares, torch.arange(20).split(5), 0.1, [1.0])


def test_a_number_acts_as_the_bare_one_does() -> None:
    x = torch.randn(50, generator=seeded())
    assert torch.equal(training.number(0.1) * x, 0.1 * x)


def test_epochs_are_whole_and_as_many_as_the_steps_hold() -> None:
    asked = [(10, 4, 20, most) for most in (0, 60, 59, 3, 1)]  # three steps an epoch
    assert [training.whole_epochs(*each) for each in asked] == [20, 20, 19, 1, 1]
    assert training.whole_epochs(10, 4, 0, 60) == 0


def test_adam_goes_as_far_in_fewer_epochs_at_the_hurried_rate() -> None:
    assert training.hurried(0.1, 20, 20) == 0.1 == training.hurried(0.1, 0, 0)

    def gone(epochs: int, rate: float) -> float:
        start = {"x": torch.zeros(1)}
        schedule = training.cosine(epochs)
        batches = [torch.ones(1)] * epochs
        ended = training.adamw(start, lambda at, b: (at["x"] * b).sum(), batches, rate, schedule, 0)
        return float(ended["x"])

    assert gone(50, training.hurried(0.1, 200, 50)) == pytest.approx(gone(200, 0.1), rel=0.02)
