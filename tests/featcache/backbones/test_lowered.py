"""Weights that are cast once give the numbers that autocast gives, and nothing else is cast."""

from __future__ import annotations

import pytest
import torch

from featcache.backbones import image_tower
from featcache.backbones.backbone import Backbone
from featcache.backbones.lowered import can_be_cast, cast, lowered
from tests.featcache.backbones.test_image_tower import TOWERS, backbone


@pytest.mark.parametrize("name", TOWERS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_lowered_tower_gives_what_autocast_gives(
    tiny: Backbone, name: str, dtype: torch.dtype
) -> None:
    vision, _, tokens = TOWERS[name]
    model = backbone(tiny, vision).model
    pictures = torch.randn(3, 3, vision["image_size"], vision["image_size"])
    extras = ["pre-projection", "patches"] if tokens else ["pre-projection"]
    low = lowered(model, dtype)
    with torch.inference_mode(), torch.autocast("cpu", dtype):
        wanted = image_tower.forward(model, pictures, extras)
        found = image_tower.forward(low, pictures, extras)
    for feature in wanted:
        assert torch.equal(found[feature], wanted[feature])


def test_norms_text_and_the_model_itself_stay_as_they_were(tiny: Backbone) -> None:
    before = {name: value.clone() for name, value in tiny.model.state_dict().items()}
    low = lowered(tiny.model, torch.bfloat16)
    assert {name for name, value in low.state_dict().items() if value.dtype == torch.bfloat16} == {
        name
        for name in before
        if name.startswith("visual.")
        and ("attn." in name or "mlp." in name or name.endswith((".proj", "conv1.weight")))
    }
    for name, value in tiny.model.state_dict().items():
        assert torch.equal(value, before[name])
    assert low.transformer is tiny.model.transformer


def test_full_precision_is_the_model_itself(tiny: Backbone) -> None:
    assert tiny.seeing is tiny.model


@pytest.mark.parametrize("name", TOWERS)
def test_towers_of_open_clip_run_in_half_precision_as_a_whole(tiny: Backbone, name: str) -> None:
    vision, _, _ = TOWERS[name]
    model = backbone(tiny, vision).model
    assert can_be_cast(model) == (name != "timm")
    if name == "timm":
        return
    pictures = torch.randn(3, 3, vision["image_size"], vision["image_size"])
    extras = ["pre-projection", "patches"]
    with torch.inference_mode():
        wanted = image_tower.forward(model, pictures, extras)
        found = image_tower.forward(cast(model, torch.bfloat16), pictures.bfloat16(), extras)
    for feature in wanted:
        assert found[feature].dtype == torch.bfloat16
        apart = (found[feature].float() - wanted[feature]).norm() / wanted[feature].norm()
        assert apart < 0.05  # as `reencode` allows
