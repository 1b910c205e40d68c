"""Trainings done as one: each is the training alone, and what they share is not copied."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor

from adapters.maths import training
from adapters.maths.together import together
from adapters.maths.training import Tensors
from tests.adapters.valleys import run, valley

rates = st.floats(1e-4, 1.0)
factors = st.lists(st.floats(0, 1), min_size=4, max_size=4)
adamw = st.builds(training.by_adamw, rates, st.floats(0, 0.5), st.sampled_from([1e-8, 1e-3]))
sgd = st.builds(training.by_sgd, rates, st.sampled_from([0.5, 0.9]))
paces = st.one_of(
    st.lists(st.tuples(optimiser, factors), min_size=1, max_size=5) for optimiser in (adamw, sgd)
)


def by_torch(seed: int, optimiser: Any, schedule: Any) -> dict[str, Tensor]:
    """The same by an optimiser of torch, with nothing of ours but the draw."""
    one = run(seed, optimiser, schedule)
    free = {name: p.clone().requires_grad_() for name, p in one.start.items()}
    stepper = one.optimiser(free.values())
    for factor, batch in zip(schedule, one.batches, strict=True):
        stepper.param_groups[0]["lr"] = one.optimiser.keywords["lr"] * factor
        stepper.zero_grad()
        valley(free, one.data, batch).backward()  # type: ignore[no-untyped-call]
        stepper.step()
    return {name: p.detach() for name, p in free.items()}


@given(paces)
@settings(max_examples=60, deadline=None)
def test_every_run_of_a_stack_is_stepped_as_torch_steps_it_alone(paces: list[Any]) -> None:
    stacked = together([run(seed, *pace) for seed, pace in enumerate(paces)])
    for seed, (pace, found) in enumerate(zip(paces, stacked, strict=True)):
        wanted = by_torch(seed, *pace)
        assert found.keys() == wanted.keys()
        for name, value in wanted.items():
            torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-6)


def test_alone_it_is_torch_to_the_bit() -> None:
    optimiser = training.by_adamw(0.1)
    found = training.fit(run(1, optimiser, (1.0, 0.5)))
    for name, value in by_torch(1, optimiser, (1.0, 0.5)).items():
        assert torch.equal(found[name], value)


def test_what_is_passed_stays_as_it_was() -> None:
    runs = [run(1), run(2)]
    before = [{name: p.clone() for name, p in each.start.items()} for each in runs]
    together(runs)
    for each, start in zip(runs, before, strict=True):
        assert all(torch.equal(each.start[name], p) for name, p in start.items())


def test_data_that_is_one_tensor_is_not_copied_for_each() -> None:
    shared = torch.randn(3, generator=Generator().manual_seed(0))
    seen = []

    def loss(parameters: Tensors, data: Tensors, batch: Tensors) -> Tensor:
        seen.append(data["goal"] is shared)
        return valley(parameters, data, batch)

    runs = [replace(run(seed), data={"goal": shared}, loss=partial(loss)) for seed in (1, 2)]
    states = together(runs)
    assert seen == [True, True]
    alone = [training.fit(replace(run(seed), data={"goal": shared})) for seed in (1, 2)]
    for found, wanted in zip(states, alone, strict=True):
        torch.testing.assert_close(found["a"], wanted["a"])


def test_batches_that_are_the_same_are_not_copied_for_each() -> None:
    batches = [*run(1).batches]
    seen = []

    def loss(parameters: Tensors, data: Tensors, batch: Tensors) -> Tensor:
        seen.append(any(batch["noise"] is each["noise"] for each in batches))
        return valley(parameters, data, batch)

    runs = [replace(run(seed), batches=batches, loss=partial(loss)) for seed in (1, 2)]
    states = together(runs)
    assert seen == [True, True]
    for seed, found in zip((1, 2), states, strict=True):
        wanted = training.fit(replace(run(seed), batches=batches))
        torch.testing.assert_close(found["a"], wanted["a"])
