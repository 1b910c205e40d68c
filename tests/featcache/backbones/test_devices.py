"""Device discipline of the towers, without a device: tensors of two devices never meet.

Under `FakeTensorMode` tensors on a CUDA device that is not there run forward; a tensor of another
device and a value that is read on the host raise.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import open_clip
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from featcache.backbones import lowered, text_cut
from featcache.backbones.backbone import Backbone
from featcache.backbones.forward import features_of
from tests.featcache.backbones.test_image_tower import TEXT, TOWERS

CUDA = torch.device("cuda:0")


@pytest.fixture(autouse=True)
def _layers_can_be_made() -> None:
    """Older torch asks a driver for the weights of a layer that is there in name alone."""
    try:
        with FakeTensorMode(), CUDA:
            torch.nn.Linear(2, 2)
    except RuntimeError as error:
        pytest.skip(f"torch {torch.__version__} makes no layers where no device is: {error!s:.60}")


# timm's towers run under autocast, which is off where CUDA is absent.
LOW = [(name, low) for name in TOWERS for low in ("fp32", "bf16") if name != "timm"]


@pytest.mark.parametrize(("name", "precision"), [*LOW, ("timm", "fp32")])
def test_pictures_stay_on_their_device(
    tiny: Backbone, name: str, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lowered, "deepcopy", lambda tower: tower)  # which leaves the fake mode
    vision, _, tokens = TOWERS[name]
    extras = ["pre-projection", "patches"] if tokens else ["pre-projection"]
    with FakeTensorMode(), CUDA:
        model = open_clip.CLIP(embed_dim=32, vision_cfg=vision, text_cfg=TEXT).eval()
        backbone = replace(
            tiny, model=model.requires_grad_(False), device=CUDA, precision=precision
        )
        side = vision["image_size"]
        pictures = torch.zeros((5, side, side, 3), dtype=torch.uint8, device=CUDA)
        found = features_of(backbone, pictures, extras)
    assert {each.device for each in found.values()} == {CUDA}
    assert found["embedding"].shape == (5, 32)
    if backbone.is_cast:
        assert {each.dtype for each in found.values()} != {torch.float32}


@pytest.mark.parametrize("text", [{}, {"pool_type": "eos", "eos_id": 3}])
def test_texts_stay_on_their_device(text: dict[str, Any]) -> None:
    vision = TOWERS["vit"][0]
    with FakeTensorMode(), CUDA:
        model = open_clip.CustomTextCLIP(32, vision, {**TEXT, **text}).eval()
        tokens = torch.zeros((4, 7), dtype=torch.long, device=CUDA)
        assert text_cut.encode_cut(model, tokens).device == CUDA
