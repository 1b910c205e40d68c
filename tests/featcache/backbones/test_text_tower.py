"""Text towers are taken as they are, or refused by name with the reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from featcache.backbones.backbone import Backbone
from featcache.backbones.text_tower import taken
from featcache.errors import BackboneError
from tests.featcache.backbones.towered import loaded

REASONS = {
    "CoCa": "class token",
    "SigLIP": "no causal mask",
    "MobileCLIP": "no causal mask",
}


def test_all_that_text_goes_through_is_taken(tiny: Backbone) -> None:
    found = taken(tiny)
    held = tiny.model.state_dict()
    assert np.array_equal(found.weights["token_embedding"], held["token_embedding.weight"])
    inside = {name for name in held if name.startswith("transformer.resblocks.")}
    of_blocks = {name for name in found.weights if name.startswith("blocks.")}
    assert of_blocks == {name.replace("transformer.resblocks", "blocks") for name in inside}
    assert len(found.weights) == len([n for n in held if not n.startswith(("visual", "logit"))])
    assert found.config["context"] == 16
    assert found.config["dtype"] == "float32"
    assert len(found.merges.splitlines()) == len(found.pairs) == 48894


def test_half_precision_is_taken_where_it_loses_nothing(tiny: Backbone) -> None:
    model = SimpleNamespace(**{n: getattr(tiny.model, n) for n in (
        "attn_mask", "token_embedding", "positional_embedding", "ln_final", "text_projection",
        "transformer", "text_pool_type",
    )})  # fmt: skip
    before = {name: p.detach().clone() for name, p in tiny.model.named_parameters()}
    try:
        for p in tiny.model.parameters():
            p.data = p.data.half().float()
        found = taken(replace(tiny, model=model))  # type: ignore[arg-type]
        assert found.config["dtype"] == "float16"
        kept = torch.from_numpy(found.weights["projection"]).float()
        assert torch.equal(kept, model.text_projection)
    finally:
        for name, p in tiny.model.named_parameters():
            p.data = before[name]


@pytest.mark.parametrize("kind", REASONS)
def test_what_cannot_be_served_is_refused_with_the_reason(kind: str, tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match=REASONS[kind]) as told:
        taken(loaded(tmp_path / "model", kind))
    assert "encode without --extra text-tower" in str(told.value)


def test_hugging_face_towers_other_tokenizers_and_other_pools_are_refused(tiny: Backbone) -> None:
    from open_clip.hf_model import HFTextEncoder

    foreign = SimpleNamespace(text=HFTextEncoder.__new__(HFTextEncoder))
    with pytest.raises(BackboneError, match="Hugging Face"):
        taken(replace(tiny, model=foreign))  # type: ignore[arg-type]
    with pytest.raises(BackboneError, match="tokenizer"):
        taken(replace(tiny, tokenizer=SimpleNamespace()))  # type: ignore[arg-type]
    before = tiny.model.text_pool_type
    tiny.model.text_pool_type = "last"  # type: ignore[assignment]
    try:
        with pytest.raises(BackboneError, match="pools its last token"):
            taken(tiny)
    finally:
        tiny.model.text_pool_type = before
