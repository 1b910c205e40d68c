"""Devices by name, and what is moved to them; `meta` stands for one that is not the processor."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import torch

from adapters.devices.device import device_of, moved, name_of, steady, wait
from adapters.episode import Target
from featcache.errors import ConfigError
from tests.adapters import synthetic


def test_auto_is_the_processor() -> None:
    assert device_of("auto") == device_of("cpu") == torch.device("cpu")
    assert device_of("meta").type == "meta"


@pytest.mark.parametrize("name", ["tpu", "cuda:99", ""])
def test_a_device_that_there_is_not_is_one_sentence(name: str) -> None:
    with pytest.raises(ConfigError, match=f"^device '{name}' cannot be used: ") as refusal:
        device_of(name)
    assert "\n" not in str(refusal.value)


def test_an_episode_is_moved_with_every_tensor_in_it() -> None:
    plain, _ = synthetic.extended(*synthetic.episode(views=2))
    assert moved(plain, torch.device("cpu")) is plain
    there = moved(plain, torch.device("meta"))
    tensors = [there.support.views, there.support.labels, there.text.prompts, there.text.mask]
    assert there.support.pre is not None
    assert there.projection is not None
    assert there.negative is not None
    tensors += [there.support.pre, there.projection.weight, there.negative.prompts]
    assert {each.device.type for each in tensors} == {"meta"}
    assert there.support.views.shape == plain.support.views.shape
    assert (there.shots, there.support.ids) == (plain.shots, plain.support.ids)
    assert plain.support.views.device.type == "cpu"


@pytest.mark.parametrize("value", [None, 3, "x", (1, 2), synthetic.Episode])
def test_what_holds_no_tensor_stays_itself(value: object) -> None:
    assert moved(value, torch.device("meta")) is value


def test_what_lies_there_already_stays_itself() -> None:
    episode, test = synthetic.episode()
    there = moved((episode, Target("one", test)), torch.device("meta"))
    assert there[1].pictures.x.device.type == "meta"
    assert moved(there, torch.device("meta")) is there


def test_a_device_without_float64_is_refused_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    empty = torch.empty

    def narrow(*size: int, dtype: torch.dtype | None = None, **rest: Any) -> torch.Tensor:
        if dtype == torch.float64:
            raise TypeError("this framework has no float64. Please use float32 instead.")
        return empty(*size, dtype=dtype, **rest)

    monkeypatch.setattr(torch, "empty", narrow)
    with pytest.raises(ConfigError, match=r"take float64 .* take --device cpu \(encoding"):
        device_of("meta")


def settings() -> tuple[object, ...]:
    return (
        torch.get_float32_matmul_precision(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cuda.flash_sdp_enabled(),
    )


def test_what_is_set_for_a_device_is_set_for_the_block_alone() -> None:
    torch.set_float32_matmul_precision("high")
    try:
        before = settings()
        with suppress(KeyError), steady(torch.device("meta")):
            assert settings() == ("highest", True, True, False)
            raise KeyError
        assert settings() == before
        with steady(torch.device("cpu")):
            assert settings() == before
    finally:
        torch.set_float32_matmul_precision("highest")


def test_the_processor_is_called_by_its_type_and_not_waited_for() -> None:
    wait(torch.device("cpu"))
    assert name_of(torch.device("cpu")) == "cpu"
