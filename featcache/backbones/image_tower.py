"""On the way to an embedding: what the image tower hands to its last projection, and its patches.

    embedding = pre_projection @ weight + bias

    image tower           pre_projection                  patches, mapped by the same projection
    VisionTransformer     pooled token after layer norm   the other tokens after layer norm
    ModifiedResNet        attention pool before `c_proj`  values of the places of the last map
    TimmModel             what enters its linear head     none

In a ResNet a place's values are what the attention pool would give if it looked at that place
alone (Zhou, Loy and Dai 2022, arXiv 2112.01071).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from featcache.errors import BackboneError, UnknownNameError
from featcache.store.entry import EMBEDDING, EXTRAS, PATCHES, PRE_PROJECTION
from featcache.store.towers import TEXT_TOWER


def check(name: str, model: Any, extras: Collection[str]) -> None:
    """Raise `UnknownNameError` or `BackboneError` where a model cannot give these extras."""
    for extra in extras:
        if extra not in EXTRAS:
            raise UnknownNameError("extra feature", extra, (*EXTRAS, TEXT_TOWER))
    reader = _reader(model.visual)
    if extras and reader is None:
        raise BackboneError(
            f"the image tower of {name} has no linear projection at its end, so it cannot give "
            f"{' or '.join(extras)}; encode without --extra."
        )
    if PATCHES in extras and (reader is _timm or getattr(model.visual, "attn_pool", None)):
        raise BackboneError(
            f"the image tower of {name} gives no patch tokens; encode without --extra {PATCHES}."
        )


def projection(model: Any) -> tuple[Tensor, Tensor]:
    """Weight `[p, d]` and bias `[d]` (0 where there is none) of the last projection."""
    visual = model.visual
    if isinstance(getattr(visual, "proj", None), Tensor):
        weight, bias = visual.proj, None
    else:
        last = visual.attnpool.c_proj if hasattr(visual, "attnpool") else visual.head.proj
        weight, bias = last.weight.T, last.bias
    return weight.detach(), weight.new_zeros(weight.shape[1]) if bias is None else bias.detach()


def forward(model: Any, pictures: Tensor, extras: Collection[str] = ()) -> dict[str, Tensor]:
    """`embedding [b, d]` of `pictures [b, 3, s, s]`, with the extras that `check` let pass.

    `pre-projection [b, p]` and `patches [b, t, d]`. The embedding is the same number by number,
    whatever stands beside it.
    """
    if not extras:
        return {EMBEDDING: model.encode_image(pictures, normalize=False)}
    reader = _reader(model.visual)
    assert reader is not None
    return reader(model.visual, pictures, PATCHES in extras)


def _reader(visual: Any) -> Callable[[Any, Tensor, bool], dict[str, Tensor]] | None:
    from open_clip.modified_resnet import ModifiedResNet
    from open_clip.timm_model import TimmModel
    from open_clip.transformer import VisionTransformer

    if isinstance(visual, VisionTransformer):
        return _transformer if visual.proj is not None and visual.pool_type != "none" else None
    if isinstance(visual, ModifiedResNet):
        return _resnet
    if isinstance(visual, TimmModel):
        return _timm if isinstance(getattr(visual.head, "proj", None), nn.Linear) else None
    return None


def _transformer(visual: Any, pictures: Tensor, patches: bool) -> dict[str, Tensor]:
    with _ending_before_projection(visual):
        pre, tokens = visual(pictures)
    found = {EMBEDDING: pre @ visual.proj, PRE_PROJECTION: pre}
    if patches:
        tokens = visual.ln_post(tokens) if visual.final_ln_after_pool else tokens
        found[PATCHES] = tokens @ visual.proj
    return found


@contextmanager
def _ending_before_projection(visual: Any) -> Iterator[None]:
    """A transformer that gives its pooled and its other tokens as they enter the projection."""
    before = visual.proj, visual.output_tokens
    visual.proj, visual.output_tokens = None, True
    try:
        yield
    finally:
        visual.proj, visual.output_tokens = before


def _resnet(visual: Any, pictures: Tensor, patches: bool) -> dict[str, Tensor]:
    pool = visual.attnpool
    embedding, last_map = _entering(pool, visual, pictures)  # [b, d], [b, p, h, w]
    # The pool's last map is its output projection: with the identity there, it ends one step early.
    eye = torch.eye(pool.c_proj.in_features).to(pool.c_proj.weight)
    identity = {"c_proj.weight": eye, "c_proj.bias": eye.new_zeros(len(eye))}
    pre = torch.func.functional_call(pool, identity, (last_map,))
    found = {EMBEDDING: embedding, PRE_PROJECTION: pre}
    if patches:
        places = last_map.flatten(2).mT + pool.positional_embedding[1:]  # [b, t, p]
        found[PATCHES] = pool.c_proj(pool.v_proj(places))
    return found


def _timm(visual: Any, pictures: Tensor, patches: bool) -> dict[str, Tensor]:
    embedding, pre = _entering(visual.head.proj, visual, pictures)
    return {EMBEDDING: embedding, PRE_PROJECTION: pre}


def _entering(part: nn.Module, visual: Any, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """The tower's output, and what entered that part of it on the way."""
    seen: list[Tensor] = []
    hook = part.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    try:
        return visual(pictures), seen[0]
    finally:
        hook.remove()
