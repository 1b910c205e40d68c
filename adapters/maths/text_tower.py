"""A text tower of tensors: CLIP's causal transformer, on prompts whose vectors may be learned.

    x = token + position;  x += attention(norm(x)), x += mlp(norm(x)) in each block;
    embedding = norm(x at the text's end) @ projection                       (Radford et al. 2021)

As a position reads only those before it, sequences may be cut after their ends, what all of them
begin with is computed once, and in the last block only the ends are. All that is exact. Residuals,
norms and softmax have the precision of the vectors that are given; products that of the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    # x sigmoid(1.702 x), of which a backward pass needs one tensor this way, not three
    "quick_gelu": lambda x: functional.silu(1.702 * x) / 1.702,
}
SAVED = 12  # numbers that a backward pass keeps of a token in a block, by the width, at most

Beside = Callable[[int, Tensor], Tensor]  # of a block and `x [..., w]` what is added to q, k, v


@dataclass(frozen=True)
class Tower:
    """Weights by name, and what else its numbers depend on.

    `token_embedding [v, w]`, `positional_embedding [l, w]`, `blocks.I.…`, `ln_final.…`,
    `projection [w, d]`, `projection_bias [d]`; `start` and `stop` are the tokens that a text begins
    and ends with.
    """

    weights: Mapping[str, Tensor]
    layers: int
    heads: int
    context: int
    activation: str
    epsilon: float
    start: int
    stop: int

    @property
    def width(self) -> int:
        """Of its vectors."""
        return self.weights["positional_embedding"].shape[1]

    @property
    def dtype(self) -> torch.dtype:
        """Of its products."""
        return self.weights["blocks.0.mlp.c_fc.weight"].dtype

    def multiplying(self, dtype: torch.dtype) -> Tower:
        """The same with products in that precision; norms and embeddings stay as they are."""
        products = (".attn.", ".mlp.")
        return replace(
            self,
            weights={
                name: each.to(dtype) if any(part in name for part in products) else each
                for name, each in self.weights.items()
            },
        )

    def to(self, device: torch.device | None = None, dtype: torch.dtype | None = None) -> Tower:
        """The same elsewhere, or in another precision."""
        weights = {name: each.to(device, dtype) for name, each in self.weights.items()}
        return replace(self, weights=weights)


def embed(tower: Tower, ids: Tensor) -> Tensor:
    """Vectors `[..., w]` of tokens `[...]`, without their positions."""
    return tower.weights["token_embedding"][ids]


def encode(
    tower: Tower,
    own: Tensor,
    ends: Tensor,
    shared: Tensor | None = None,
    *,
    beside: Beside | None = None,
    sparing: bool = False,
) -> Tensor:
    """Raw embeddings `[g, c, d]` of sequences of vectors without their positions.

    Sequence c of group g is `shared [g, p, w]`, then `own [g, c, l, w]`; it ends at `ends [c]` of
    its own, and what follows is not looked at. `beside` adds to q, k and v. `sparing` keeps nothing
    of a block for the backward pass and computes it again there.
    """
    own, shared = placed(tower, own, shared)
    own, shared = through(tower, own, shared, range(tower.layers - 1), beside, sparing)
    return ended(tower, own, ends, shared, beside)


def placed(tower: Tower, own: Tensor, shared: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
    """Both with their positions added."""
    positions = tower.weights["positional_embedding"]
    first = 0 if shared is None else shared.shape[1]
    own = own + positions[first : first + own.shape[2]]
    return own, None if shared is None else shared + positions[:first]


def through(
    tower: Tower,
    own: Tensor,
    shared: Tensor | None,
    blocks: range,
    beside: Beside | None = None,
    sparing: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Both after these blocks; what the sequences share goes through them once."""
    for i in blocks:
        if sparing and torch.is_grad_enabled():
            own, shared = checkpoint(
                _block, tower, i, own, shared, beside, use_reentrant=False,
                preserve_rng_state=False,
            )  # fmt: skip
        else:
            own, shared = _block(tower, i, own, shared, beside)
    return own, shared


def ended(
    tower: Tower,
    own: Tensor,
    ends: Tensor,
    shared: Tensor | None = None,
    beside: Beside | None = None,
) -> Tensor:
    """The last block at the ends `[c]` alone, its norm and projection: embeddings `[g, c, d]`."""
    i, ends = tower.layers - 1, ends.to(own.device)
    q, k, v = _projected(tower, i, own, beside)
    before = None if shared is None else _projected(tower, i, shared[:, None], beside)[1:]
    at = ends[None, :, None, None]
    q = q.gather(3, at[..., None].expand(len(q), -1, tower.heads, 1, q.shape[-1]))
    seen = (torch.arange(own.shape[2], device=own.device) <= ends[:, None])[:, None, None]
    x = own.gather(2, at.expand(len(own), -1, 1, own.shape[-1]))  # [g, c, 1, w]
    x = _mixed(tower, i, x, _attended(q, k, v, before, seen))
    x = _norm(tower, "ln_final", x.squeeze(2))
    if "projection" in tower.weights:
        x = x @ tower.weights["projection"].to(x.dtype)
    return x + tower.weights["projection_bias"] if "projection_bias" in tower.weights else x


def _block(
    tower: Tower, i: int, own: Tensor, shared: Tensor | None, beside: Beside | None
) -> tuple[Tensor, Tensor | None]:
    before = None
    if shared is not None:
        q, k, v = _projected(tower, i, shared[:, None], beside)
        shared = _mixed(tower, i, shared[:, None], _attended(q, k, v, None, None)).squeeze(1)
        before = [k, v]
    q, k, v = _projected(tower, i, own, beside)
    seen = None
    if before is not None:
        seen = torch.ones(*2 * [own.shape[2]], dtype=torch.bool, device=own.device).tril()
    return _mixed(tower, i, own, _attended(q, k, v, before, seen)), shared


def _projected(tower: Tower, i: int, x: Tensor, beside: Beside | None) -> list[Tensor]:
    """Queries, keys and values `[g, c, h, l, e]` of `x [g, c, l, w]`."""
    normed = _norm(tower, f"blocks.{i}.ln_1", x)
    qkv = _linear(tower, f"blocks.{i}.attn.in_proj_", normed)
    if beside is not None:
        qkv = qkv + beside(i, normed).to(qkv.dtype)
    heads = qkv.view(*qkv.shape[:-1], 3, tower.heads, -1)  # [g, c, l, 3, h, e]
    return [*heads.permute(3, 0, 1, 4, 2, 5)]


def _attended(
    q: Tensor, k: Tensor, v: Tensor, before: list[Tensor] | None, seen: Tensor | None
) -> Tensor:
    """Values mixed `[g, c, m, w]`: of a sequence's own `k`, `v` where `seen`, and those `before`.

    `before` are keys and values `[g, 1, h, p, e]` that every query reads; where nothing is said of
    either, attention is causal.
    """
    if before is None:
        found = functional.scaled_dot_product_attention(q, k, v, seen, is_causal=seen is None)
        return found.transpose(2, 3).flatten(3)
    assert seen is not None
    g, c, h, m, e = q.shape
    flat = (q * e**-0.5).transpose(1, 2).reshape(g, h, c * m, e)  # one product for all sequences
    first, values = (each.squeeze(1) for each in before)  # [g, h, p, e]
    near = ((q * e**-0.5) @ k.mT).masked_fill(~seen, -torch.inf)  # [g, c, h, m, l]
    far = (flat @ first.mT).view(g, h, c, m, -1).transpose(1, 2)  # [g, c, h, m, p]
    scores = torch.cat([far, near], -1)
    exact = torch.float32 if scores.dtype in (torch.bfloat16, torch.float16) else scores.dtype
    weights = scores.softmax(-1, dtype=exact).to(v.dtype)
    p = first.shape[2]
    of_first = weights[..., :p].transpose(1, 2).reshape(g, h, c * m, p) @ values
    found = weights[..., p:] @ v + of_first.view(g, h, c, m, e).transpose(1, 2)
    return found.transpose(2, 3).flatten(3)


def _mixed(tower: Tower, i: int, x: Tensor, attended: Tensor) -> Tensor:
    """The rest of a block, from attention's values on."""
    name = f"blocks.{i}"
    x = x + _scaled(tower, f"{name}.ls_1", _linear(tower, f"{name}.attn.out_proj.", attended))
    inner = _linear(tower, f"{name}.mlp.c_fc.", _norm(tower, f"{name}.ln_2", x))
    inner = ACTIVATIONS[tower.activation](inner)
    return x + _scaled(tower, f"{name}.ls_2", _linear(tower, f"{name}.mlp.c_proj.", inner))


def _linear(tower: Tower, name: str, x: Tensor) -> Tensor:
    weight = tower.weights[f"{name}weight"]
    return functional.linear(x.to(weight.dtype), weight, tower.weights[f"{name}bias"])


def _norm(tower: Tower, name: str, x: Tensor) -> Tensor:
    weight, bias = tower.weights[f"{name}.weight"], tower.weights[f"{name}.bias"]
    return functional.layer_norm(x, x.shape[-1:], weight, bias, tower.epsilon)


def _scaled(tower: Tower, name: str, x: Tensor) -> Tensor:
    gamma = tower.weights.get(f"{name}.gamma")
    return x if gamma is None else x * gamma


def bytes_of(tower: Tower, tokens: int) -> int:
    """About what a backward pass keeps of so many tokens, all blocks together."""
    return SAVED * tokens * tower.layers * tower.width * tower.dtype.itemsize
