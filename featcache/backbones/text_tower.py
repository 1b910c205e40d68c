"""The text tower taken out of a loaded model, or why methods that learn prompts cannot use it.

What is taken is a causal transformer with its embeddings, final norm and projection, pooled where
the text ends; and CLIP's own way to cut words.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from featcache.backbones.backbone import ODD_SENTENCES, Backbone
from featcache.errors import BackboneError
from featcache.store.towers import TEXT_TOWER
from featcache.store.words import Pair, of_pairs

BLOCK = (
    "ln_1.weight", "ln_1.bias", "attn.in_proj_weight", "attn.in_proj_bias", "attn.out_proj.weight",
    "attn.out_proj.bias", "ls_1.gamma", "ln_2.weight", "ln_2.bias", "mlp.c_fc.weight",
    "mlp.c_fc.bias", "mlp.c_proj.weight", "mlp.c_proj.bias", "ls_2.gamma",
)  # fmt: skip


@dataclass(frozen=True)
class TextTower:
    """Arrays by name, in half precision where that loses nothing; the config; pairs by rank."""

    weights: Mapping[str, NDArray[Any]]
    config: Mapping[str, Any]
    pairs: tuple[Pair, ...]

    @property
    def merges(self) -> str:
        """The pairs, one a line."""
        return "".join(f"{first} {second}\n" for first, second in self.pairs)


def asked(backbone: Backbone, extras: Collection[str]) -> bool:
    """Whether it is among these extras. Raises what `taken` raises where it is."""
    return TEXT_TOWER in extras and bool(taken(backbone))


def taken(backbone: Backbone) -> TextTower:
    """The text tower of a model. Raises `BackboneError` where it is of another kind."""
    if why := next(_hindrances(backbone), ""):
        raise BackboneError(
            f"the text tower of {backbone.name} {why}, so prompts cannot be learned on it; encode "
            f"without --extra {TEXT_TOWER}."
        )
    text = _text(backbone.model)
    ranks = backbone.tokenizer.bpe_ranks  # type: ignore[attr-defined]
    found = {name: tensor.detach().float().cpu() for name, tensor in _weights(text)}
    half = all(torch.equal(x.half().float(), x) for x in found.values())
    block, epsilon = text.transformer.resblocks[0], float(text.ln_final.eps)
    return TextTower(
        {name: (x.half() if half else x).contiguous().numpy() for name, x in found.items()},
        {
            "layers": len(text.transformer.resblocks),
            "heads": int(block.attn.num_heads),
            "context": int(backbone.context_length),
            "activation": _activation(block.mlp.gelu),
            "epsilon": epsilon,
            "dtype": "float16" if half else "float32",
        },
        tuple(sorted(ranks, key=ranks.get)),
    )


def _text(model: Any) -> Any:
    """Whatever holds the text tower: the model itself, or its part of that name."""
    return getattr(model, "text", model)


def _hindrances(backbone: Backbone) -> Iterator[str]:
    """What keeps the tower from being served; the first says enough."""
    from open_clip.hf_model import HFTextEncoder
    from open_clip.transformer import ResidualAttentionBlock

    text = _text(backbone.model)
    if isinstance(text, HFTextEncoder):
        yield "is a text model of Hugging Face"
        return
    if getattr(text, "cls_emb", None) is not None:
        yield "pools a token of its own after the text (CoCa's class token)"
    if text.attn_mask is None:
        yield "reads padding (it has no causal mask)"
    pool = getattr(text, "pool_type", None) or text.text_pool_type
    if pool not in ("argmax", "eos"):
        yield f"pools its {pool} token instead of the text's end"
    blocks = text.transformer.resblocks
    if not all(type(block) is ResidualAttentionBlock for block in blocks):
        yield "has blocks that are not CLIP's"
        return
    if not _activation(blocks[0].mlp.gelu):
        yield f"has the activation {type(blocks[0].mlp.gelu).__name__}"
    norms = [norm for block in blocks for norm in (block.ln_1, block.ln_2)]
    if {norm.eps for norm in norms} != {text.ln_final.eps}:
        yield "has norms of several kinds"
    if not _cut_alike(backbone):
        yield "has words cut by a tokenizer that is not CLIP's"


def _cut_alike(backbone: Backbone) -> bool:
    """Whether our own way to cut words gives the same numbers for odd sentences."""
    ranks = getattr(backbone.tokenizer, "bpe_ranks", None)
    if ranks is None:
        return False
    own = of_pairs(sorted(ranks, key=ranks.get))
    for sentence in ODD_SENTENCES:
        ids = [own.start, *own.ids(sentence), own.stop][: backbone.context_length]
        ids[-1] = own.stop
        theirs = backbone.tokenizer([sentence])[0]
        if theirs[: len(ids)].tolist() != ids or theirs[len(ids) :].any():
            return False
    return True


def _activation(module: nn.Module) -> str:
    """Its name; empty for one that is not known."""
    from open_clip.transformer import QuickGELU

    if isinstance(module, QuickGELU):
        return "quick_gelu"
    if isinstance(module, nn.GELU):
        return "gelu" if module.approximate == "none" else "gelu_tanh"
    return ""


def _weights(text: Any) -> Iterator[tuple[str, Tensor]]:
    yield "token_embedding", text.token_embedding.weight
    yield "positional_embedding", text.positional_embedding
    yield "ln_final.weight", text.ln_final.weight
    yield "ln_final.bias", text.ln_final.bias
    for i, block in enumerate(text.transformer.resblocks):
        held = dict(block.named_parameters())
        yield from ((f"blocks.{i}.{name}", held[name]) for name in BLOCK if name in held)
    last = text.text_projection
    if isinstance(last, nn.Linear):
        yield "projection", last.weight.T
        if last.bias is not None:
            yield "projection_bias", last.bias
    elif last is not None:
        yield "projection", last
