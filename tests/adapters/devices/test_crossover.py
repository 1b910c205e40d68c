"""`auto` is the GPU where there is one, and it was measured to save more than it takes to start."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from adapters import registry
from adapters.devices import crossover
from adapters.devices.crossover import chosen, measured, of_size, pays, saved

KNOWN: dict[str, Any] = {
    "start_s": 2.0,
    "fits": {"slow": [[10, 1.0, 3.0], [100, 20.0, 3.0]], "quick": [[10, 0.5, 1.5]]},
    "stacked": {"slow": 10.0},
}


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crossover, "measured", lambda: KNOWN)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    ("methods", "pictures", "device", "seconds"),
    [
        (["slow"], 100, "cuda", 17),
        (["slow"], 10**6, "cuda", 17),
        (["slow"], 99, "cpu", -2),
        (["slow"], 1, "cpu", -2),
        (["slow", "quick"], 100, "cuda", 16),
        (["quick"], 10**6, "cpu", -1),
        (["slow", "not measured"], 100, "cpu", -math.inf),
    ],
)
def test_it_is_taken_where_it_saves_more_than_it_takes_to_start(
    methods: list[str], pictures: int, device: str, seconds: float
) -> None:
    assert saved(methods, pictures) == seconds
    assert chosen("auto", methods, pictures) == device
    assert chosen("cuda:1", methods, pictures) == "cuda:1"


@pytest.mark.usefixtures("known")
def test_many_cores_and_stacks_count() -> None:
    assert saved(["slow"], 100, cores=10) == -1
    assert saved(["slow"], 100, cores=10, stacked=True) == pytest.approx(1.7)
    assert saved(["quick"], 100, stacked=True) == -1  # nobody measured a stack of these
    assert pays(2.1)
    assert not pays(2.0)


@pytest.mark.usefixtures("known")
def test_without_a_gpu_it_never_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert chosen("auto", ["slow"], 10**6) == "cpu"


def test_what_was_measured_is_of_methods_that_there_are() -> None:
    found = measured()
    assert found["fits"].keys() | found["stacked"].keys() <= {*registry.names()}
    for rows in found["fits"].values():
        assert of_size(rows, 10**9) == max(rows)
        assert all(pictures > 0 < here + there for pictures, here, there in rows)
