"""Prompts through a text tower, cut to the longest of their batch where that changes nothing.

Under a causal mask a place reads only what stands before it, everything else acts on each place by
itself, and the end of the text alone is pooled: what follows the last end is computed for nothing.
Towers that read their padding (no mask, a class token at the end, Hugging Face's) are left whole.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def can_cut(model: Any) -> bool:
    """Whether texts can be cut after their end without changing what the model makes of them."""
    tower = _tower(model)
    return (
        tower is not None
        and getattr(tower, "cls_emb", None) is None
        and getattr(tower, "attn_mask", None) is not None
        and _pool(tower) in ("argmax", "eos")
        and isinstance(getattr(tower, "positional_embedding", None), Tensor)
    )


def ends(model: Any, tokens: Tensor) -> Tensor:
    """How many tokens of each text `[p]` there are up to its end, that with it."""
    return _end(_tower(model), tokens) + 1


def encode_cut(model: Any, tokens: Tensor) -> Tensor:
    """Embeddings `[p, d]` of `tokens [p, l]`, `l` up to the context length, as `encode_text` has.

    Only for models that `can_cut`; equal up to rounding to those of the uncut texts.
    """
    tower, length = _tower(model), tokens.shape[1]
    dtype = tower.transformer.get_cast_dtype()
    x = tower.token_embedding(tokens).to(dtype) + tower.positional_embedding[:length].to(dtype)
    x = tower.transformer(x, attn_mask=tower.attn_mask[:length, :length])
    # The norm acts on each place by itself: it is asked for the ends alone.
    rows = torch.arange(len(x), device=x.device)
    found: Tensor = tower.ln_final(x[rows, _end(tower, tokens)])
    projection = tower.text_projection
    if isinstance(projection, nn.Linear):
        found = projection(found)
    elif projection is not None:
        found = found @ projection
    return found


def _tower(model: Any) -> Any:
    """Where the text tower's parts lie; None for towers that are built otherwise."""
    from open_clip.model import CLIP, CustomTextCLIP
    from open_clip.transformer import TextTransformer

    if type(model) is CLIP:
        return model
    text = getattr(model, "text", None)
    return text if type(model) is CustomTextCLIP and type(text) is TextTransformer else None


def _pool(tower: Any) -> str:
    return str(getattr(tower, "text_pool_type", getattr(tower, "pool_type", "")))


def _end(tower: Any, tokens: Tensor) -> Tensor:
    if _pool(tower) == "argmax":
        return tokens.argmax(dim=-1)
    eos = int(getattr(tower, "text_eos_id", getattr(tower, "eos_id", 0)))
    return tokens.eq(eos).int().argmax(dim=-1)
