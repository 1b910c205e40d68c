"""Compiled towers share their weights with the model, and one that cannot be compiled says so."""

from __future__ import annotations

import pytest
import torch

from featcache.backbones import compiling
from featcache.backbones.backbone import Backbone
from tests.featcache.backbones.test_image_tower import TOWERS, backbone


def test_convolutions_gain(tiny: Backbone) -> None:
    assert not compiling.gains(tiny.model)
    assert compiling.gains(backbone(tiny, TOWERS["resnet"][0]).model)


def test_weights_are_shared_and_the_model_stays_uncompiled(
    tiny: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[torch.nn.Module] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, **_: asked.append(self))
    model = backbone(tiny, TOWERS["resnet"][0]).model
    fast = compiling.compiled(model)
    assert asked == [fast.visual]
    assert fast.visual is not model.visual
    ours = {id(each) for each in model.state_dict(keep_vars=True).values()}
    assert {id(each) for each in fast.state_dict(keep_vars=True).values()} == ours


def test_what_cannot_be_compiled_is_told() -> None:
    with pytest.warns(UserWarning, match="cannot be compiled here .no compiler."):
        compiling.told(RuntimeError("no compiler\nat all"))
