"""A small text tower made in memory, whose class vectors are what a test asks for."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from adapters.maths import text_tower
from adapters.maths.text_tower import Tower

VOCABULARY = 64


@dataclass(frozen=True)
class Speaking:
    """A tower with a word for each string between spaces; a full stop at an end is a word."""

    tower: Tower

    def on(self, device: torch.device) -> Tower:
        return self.tower.to(device)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        return [
            [zlib.crc32(word.encode()) % (VOCABULARY - 2) for word in t.replace(".", " .").split()]
            for t in texts
        ]


def random_tower(
    width: int = 16,
    layers: int = 2,
    heads: int = 2,
    out: int | None = None,
    context: int = 32,
    activation: str = "quick_gelu",
    scale: float = 0.5,
    extra: bool = False,
) -> Tower:
    """Random weights of the usual names; `extra` adds layer scales and a bias of the projection."""
    g = torch.Generator().manual_seed(3)

    def noise(*shape: int, of: float = scale) -> Tensor:
        return of * torch.randn(*shape, generator=g)

    weights = {
        "token_embedding": noise(VOCABULARY, width, of=0.3),
        "positional_embedding": noise(context, width, of=0.1),
        "ln_final.weight": 1 + noise(width, of=0.1),
        "ln_final.bias": noise(width, of=0.1),
        "projection": noise(width, out or width),
    }
    for i in range(layers):
        of = {
            "ln_1.weight": 1 + noise(width, of=0.1), "ln_1.bias": noise(width, of=0.1),
            "ln_2.weight": 1 + noise(width, of=0.1), "ln_2.bias": noise(width, of=0.1),
            "attn.in_proj_weight": noise(3 * width, width), "attn.in_proj_bias": noise(3 * width),
            "attn.out_proj.weight": noise(width, width), "attn.out_proj.bias": noise(width),
            "mlp.c_fc.weight": noise(4 * width, width), "mlp.c_fc.bias": noise(4 * width),
            "mlp.c_proj.weight": noise(width, 4 * width), "mlp.c_proj.bias": noise(width),
        }  # fmt: skip
        if extra:
            of |= {"ls_1.gamma": noise(width), "ls_2.gamma": noise(width)}
        weights |= {f"blocks.{i}.{name}": each for name, each in of.items()}
    if extra:
        weights["projection_bias"] = noise(out or width)
    stop = VOCABULARY - 1
    return Tower(weights, layers, heads, context, activation, 1e-5, stop - 1, stop)


def speaking(names: Sequence[str], wanted: Tensor, words: str = "a photo of a") -> Speaking:
    """A tower whose embeddings of `words NAME.` are `wanted [c, d]`."""
    tower = random_tower(scale=0.25)
    eye = torch.eye(tower.width)
    bare = Speaking(Tower(**{**vars(tower), "weights": {**tower.weights, "projection": eye}}))
    ids = bare.ids([f"{words} {name}." for name in names])
    h = torch.cat([plain(bare.tower, mine) for mine in ids])  # [c, w]
    weights = {**tower.weights, "projection": torch.linalg.pinv(h) @ wanted}
    return Speaking(Tower(**{**vars(tower), "weights": weights}))


def plain(tower: Tower, ids: Sequence[int], length: int | None = None) -> Tensor:
    """The embedding `[1, d]` of one whole sentence, padded as towers are given it."""
    row = [tower.start, *ids, tower.stop]
    row += [0] * ((length or tower.context) - len(row))
    own = text_tower.embed(tower, torch.tensor(row))[None, None]
    return text_tower.encode(tower, own, torch.tensor([len(ids) + 1]))[0]
