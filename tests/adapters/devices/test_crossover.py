"""`auto` is the GPU where there is one and it was measured to be faster, for every part."""

from __future__ import annotations

import pytest
import torch

from adapters import registry
from adapters.devices import crossover
from adapters.devices.crossover import chosen, measured, pays


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crossover, "measured", lambda: {"fma": 100, "gda": None})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    ("methods", "pictures", "pay"),
    [
        (["fma"], 100, True),
        (["fma"], 99, False),
        (["gda"], 10**6, False),
        (["fma", "gda"], 10**6, False),
        (["not measured"], 10**6, False),
    ],
)
def test_it_pays_from_the_measured_number_of_pictures_on(
    methods: list[str], pictures: int, pay: bool
) -> None:
    assert pays(methods, pictures) is pay
    assert chosen("auto", methods, pictures) == ("cuda" if pay else "cpu")
    assert chosen("cuda:1", methods, pictures) == "cuda:1"


@pytest.mark.usefixtures("known")
def test_without_a_gpu_it_never_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert chosen("auto", ["fma"], 10**6) == "cpu"


def test_what_was_measured_is_of_methods_that_there_are() -> None:
    assert measured().keys() <= {*registry.names()}
