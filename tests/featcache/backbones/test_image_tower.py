"""What is kept of an image tower on its way to an embedding gives the embedding back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from numpy.typing import NDArray
from torch.nn.functional import multi_head_attention_forward

from featcache import load_backbone
from featcache.backbones import image_tower
from featcache.backbones.backbone import Backbone
from featcache.backbones.forward import encode_pictures, picture_features
from featcache.errors import BackboneError, UnknownNameError

TEXT = {"context_length": 16, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1}
VIT = {"image_size": 32, "layers": 2, "width": 48, "patch_size": 8, "head_width": 16}
RESNET = {"image_size": 64, "layers": [1, 1, 1, 1], "width": 4, "head_width": 16}
TOWERS = {
    "vit": (VIT, 48, 16),
    "average": ({**VIT, "pool_type": "avg"}, 48, 16),
    "norm after pool": ({**VIT, "pool_type": "avg", "final_ln_after_pool": True}, 48, 16),
    "resnet": ({**RESNET, "patch_size": None}, 128, 4),
    "timm": (
        {"timm_model_name": "resnet10t", "timm_pool": "avg", "timm_proj": "linear",
         "image_size": 32, "timm_model_pretrained": False},
        512, None,
    ),
}  # fmt: skip


def backbone(tiny: Backbone, vision: dict[str, Any], precision: str = "fp32") -> Backbone:
    """The tiny backbone with another image tower, whose weights are all away from their start."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = open_clip.CLIP(embed_dim=32, vision_cfg=vision, text_cfg=TEXT).eval()
        for parameter in model.visual.parameters():
            parameter.data += 0.02 * torch.randn_like(parameter)
    preprocess = replace(tiny.preprocess, size=vision["image_size"])
    return replace(tiny, model=model, preprocess=preprocess, precision=precision)


def pictures(side: int, count: int = 5) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", TOWERS)
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("bf16", 2e-2)])
def test_the_projection_gives_the_embedding_back(
    tiny: Backbone, name: str, precision: str, tolerance: float
) -> None:
    vision, width, tokens = TOWERS[name]
    b = backbone(tiny, vision, precision)
    batch = pictures(vision["image_size"])
    extras = ["pre-projection", "patches"] if tokens else ["pre-projection"]
    found = picture_features(b, batch, extras)
    assert found["pre-projection"].shape == (5, width)
    weight, bias = (part.numpy() for part in image_tower.projection(b.model))
    rebuilt = found["pre-projection"] @ weight + bias
    scale = np.abs(found["embedding"]).max()
    np.testing.assert_allclose(rebuilt, found["embedding"], atol=tolerance * scale)
    if tokens:
        assert found["patches"].shape == (5, tokens, 32)
        assert np.isfinite(found["patches"]).all()
    # Looking on the way changes nothing of the result, then or later.
    np.testing.assert_array_equal(found["embedding"], encode_pictures(b, batch))


def test_an_average_of_patches_is_the_embedding_of_an_averaging_tower(tiny: Backbone) -> None:
    found = picture_features(backbone(tiny, TOWERS["average"][0]), pictures(32), ["patches"])
    np.testing.assert_allclose(found["patches"].mean(1), found["embedding"], atol=1e-5)


def test_pooling_by_attention_alone_gives_the_pre_projection_and_the_patches(
    tiny: Backbone,
) -> None:
    """The attention pool of a ResNet again, by PyTorch's own attention, one place at a time."""
    b = backbone(tiny, TOWERS["resnet"][0])
    visual: Any = b.model.visual
    pool = visual.attnpool
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        seen: list[torch.Tensor] = []
        hook = pool.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        found = image_tower.forward(b.model, x, ["pre-projection", "patches"])
        hook.remove()
        tokens = seen[0].flatten(2).permute(2, 0, 1)  # [t, b, p]
        tokens = torch.cat([tokens.mean(0, keepdim=True), tokens])
        tokens = tokens + pool.positional_embedding[:, None]
        p = tokens.shape[-1]

        def pooled(keys: torch.Tensor, last: Any) -> torch.Tensor:
            return multi_head_attention_forward(
                tokens[:1], keys, keys, p, pool.num_heads, None,
                torch.cat([pool.q_proj.bias, pool.k_proj.bias, pool.v_proj.bias]),
                None, None, False, 0.0, *last, training=False, need_weights=False,
                use_separate_proj_weight=True, q_proj_weight=pool.q_proj.weight,
                k_proj_weight=pool.k_proj.weight, v_proj_weight=pool.v_proj.weight,
            )[0][0]  # fmt: skip

        unmapped = (torch.eye(p), torch.zeros(p))
        torch.testing.assert_close(pooled(tokens, unmapped), found["pre-projection"])
        mapped = (pool.c_proj.weight, pool.c_proj.bias)
        for place in range(4):
            alone = pooled(tokens[1 + place : 2 + place], mapped)
            torch.testing.assert_close(alone, found["patches"][:, place], atol=1e-5, rtol=1e-4)


def test_the_demo_has_both(tiny: Backbone) -> None:
    demo = load_backbone("demo", device="cpu")
    found = picture_features(demo, pictures(demo.preprocess.size), ["pre-projection", "patches"])
    weight, bias = (part.numpy() for part in image_tower.projection(demo.model))
    np.testing.assert_allclose(
        found["pre-projection"] @ weight + bias, found["embedding"], atol=1e-3
    )
    assert found["patches"].shape[2] == demo.width


def test_towers_without_them_and_unknown_extras_are_refused(tiny: Backbone) -> None:
    timm = backbone(tiny, TOWERS["timm"][0])
    with pytest.raises(BackboneError, match="no patch tokens"):
        picture_features(timm, pictures(32), ["patches"])
    headless = backbone(tiny, {**TOWERS["timm"][0], "timm_proj": "mlp"})
    with pytest.raises(BackboneError, match="no linear projection"):
        picture_features(headless, pictures(32), ["pre-projection"])
    pooled = backbone(tiny, {**VIT, "attentional_pool": True, "attn_pooler_heads": 2})
    assert picture_features(pooled, pictures(32), ["pre-projection"])["pre-projection"].ndim == 2
    with pytest.raises(BackboneError, match="no patch tokens"):
        picture_features(pooled, pictures(32), ["patches"])
    with pytest.raises(UnknownNameError, match="pre-projection"):
        picture_features(tiny, pictures(32), ["pre_projection"])
