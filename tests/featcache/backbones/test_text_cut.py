"""Texts cut after their end give what whole ones give; towers that read padding are left whole."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import open_clip
import pytest
import torch

from featcache.backbones import text_cut
from featcache.backbones.backbone import Backbone
from featcache.backbones.forward import encode_prompts, tokenise
from featcache.backbones.text_cut import can_cut, encode_cut, ends
from tests.featcache.backbones.models import TINY

VISION = {"image_size": 16, "layers": 1, "width": 32, "patch_size": 8, "head_width": 16}
TEXT = TINY["text_cfg"]


def model(custom: bool = False, **text: Any) -> torch.nn.Module:
    build = open_clip.CustomTextCLIP if custom else open_clip.CLIP
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build(32, VISION, {**TEXT, **text}).eval().requires_grad_(False)


@pytest.mark.parametrize("custom", [False, True])
@pytest.mark.parametrize("text", [{}, {"pool_type": "eos", "eos_id": 49407}, {"proj_bias": True}])
def test_what_is_cut_is_what_is_whole(custom: bool, text: dict[str, Any], tiny: Backbone) -> None:
    tower = model(custom, **(text if custom or "proj_bias" not in text else {}))
    tokens = tokenise(tiny, ["a cat", "", "a photo of a very large dog", "x " * 14])
    assert can_cut(tower)
    assert ends(tower, tokens).tolist() == [4, 2, 9, 16]
    with torch.inference_mode():
        whole = tower.encode_text(tokens)  # type: ignore[operator]
        for rows in ([0, 1], [2], [0, 1, 2, 3]):
            cut = tokens[rows, : int(ends(tower, tokens)[rows].max())]
            torch.testing.assert_close(encode_cut(tower, cut), whole[rows], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("custom", "text"),
    [
        (True, {"pool_type": "last"}),
        (True, {"no_causal_mask": True}),
        (True, {"embed_cls": True}),
    ],
)
def test_towers_that_read_their_padding_are_left_whole(
    custom: bool, text: dict[str, Any], tiny: Backbone
) -> None:
    tower = model(custom, **text)
    assert not can_cut(tower)
    prompts = ["a cat", "a dog on a mat"]
    with torch.inference_mode():
        wanted = tower.encode_text(tokenise(tiny, prompts)).numpy()  # type: ignore[operator]
    np.testing.assert_array_equal(encode_prompts(replace(tiny, model=tower), prompts), wanted)


def test_short_prompts_are_few_tokens_and_come_back_in_order(
    tiny: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = ["a cat", "a photo of a cat on a mat", "dog", "x " * 14, "a", "an old cat"]
    with torch.inference_mode():
        wanted = tiny.model.encode_text(tokenise(tiny, prompts)).numpy()  # type: ignore[operator]
    seen: list[torch.Size] = []

    def encode(model: torch.nn.Module, tokens: torch.Tensor) -> torch.Tensor:
        seen.append(tokens.shape)
        return encode_cut(model, tokens)

    monkeypatch.setattr(text_cut, "encode_cut", encode)
    found = encode_prompts(tiny, prompts, batch_size=2)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert seen == [(2, 3), (2, 5), (2, 16)]
