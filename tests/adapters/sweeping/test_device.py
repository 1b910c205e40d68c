"""Devices by name, and what is moved to them; `meta` stands for one that is not the processor."""

from __future__ import annotations

import pytest
import torch

from adapters.sweeping.device import device_of, moved
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
