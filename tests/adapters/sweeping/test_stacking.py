"""Stacked trainings: each is the training alone, and only what can be stacked is."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from adapters.maths import training
from adapters.maths.training import Tensors
from adapters.sweeping.stacking import fit_all
from tests.adapters.valleys import run, valley


def test_only_runs_of_one_kind_are_stacked() -> None:
    wide = run(7)
    wide = replace(wide, start={**wide.start, "unread": torch.zeros(5)})
    trainings = {
        "a": run(1),
        "b": run(2, training.by_adamw(0.2, 0.3)),
        "another loss": run(3, power=4),
        "longer": run(4, schedule=(1.0, 0.5, 0.2)),
        "another optimiser": run(5, training.by_sgd(0.1)),
        "another shape": wide,
        "adaptive": replace(run(6), stacks=False),
    }
    found = fit_all(trainings, "on", {}).fitted
    assert {name: each.stacked for name, each in found.items()} == {"a": 2, "b": 2}


def test_auto_tries_a_kind_once_and_then_knows() -> None:
    known: dict[Any, bool] = {}
    fit_all({seed: run(seed) for seed in range(3)}, "auto", known)
    assert len(known) == 1
    for faster in (True, False):
        known = dict.fromkeys(known, faster)
        found = fit_all({seed: run(seed) for seed in range(3)}, "auto", known).fitted
        assert len(found) == 3 * faster


def test_trials_do_not_spend_the_runs_they_try(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([1.0, 0.5])  # alone, then stacked

    def timed(work: Any) -> float:
        work()
        return next(times)

    monkeypatch.setattr("adapters.sweeping.stacking._seconds", timed)
    long = (1.0,) * 8  # more than are tried
    found = fit_all({seed: run(seed, schedule=long) for seed in range(3)}, "auto", {}).fitted
    assert len(found) == 3
    for seed, each in found.items():
        torch.testing.assert_close(each.state["a"], training.fit(run(seed, schedule=long))["a"])


def test_a_loss_that_looks_at_values_is_no_secret() -> None:
    def looks(parameters: Tensors, data: Tensors, batch: Tensors) -> Tensor:
        assert data["goal"].sum().item() < 100
        return valley(parameters, data, batch)

    trainings = {seed: replace(run(seed), loss=partial(looks)) for seed in range(3)}
    with pytest.raises(RuntimeError, match="vmap"):
        fit_all(trainings, "on", {})


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 1 TB"),
        torch.OutOfMemoryError("CUDA out of memory."),
        MemoryError("no more"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_stack_without_room_is_left_to_be_done_alone_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def full(trainings: Any) -> Any:
        raise error

    monkeypatch.setattr("adapters.sweeping.stacking.together", full)
    short = {("short", seed): run(seed) for seed in range(3)}
    long = {("long", seed): run(seed, schedule=(1.0, 0.5, 0.2)) for seed in range(2)}
    found = fit_all({**short, **long}, "on", {})
    assert found.fitted == {}
    assert found.alone.keys() == {*short, *long}
    assert found.alone["short", 0].startswith("trained alone, a stack of 3 had too little memory")
    assert str(error) in found.alone["long", 1]
