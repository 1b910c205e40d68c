"""Sentences with places for learned vectors, and what a text tower makes of many of them.

    end      [start, v_1 … v_M, name, ".", stop]
    middle   [start, v_1 … v_(M/2), name, the other v, ".", stop]
    front    [start, name, v_1 … v_M, ".", stop]                          (Zhou et al. 2022, CoOp)

What all sentences begin with, the start and shared vectors before the name, goes through the tower
once. Classes go in parts that memory has room for, those of like length together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from adapters.maths import text_tower
from adapters.maths.text_tower import Beside, Tower

Position = Literal["end", "middle", "front"]
Deep = tuple[int, Tensor]  # before which block `[c, M, w]` stand for the vectors of each class
PLACE = -1  # stands in `ids` for the next learned vector


@dataclass(frozen=True)
class Sentences:
    """Sentences of C classes with places for M learned vectors each, of which some begin them all.

    `tokens [c, l, w]` are the vectors of a class's own words and `places [c, l]` the number of the
    learned vector that stands there instead, or -1; a sentence ends at `ends [c]`. Before that all
    have `start [w]` and the first `shared` of the M `vectors`. With `per_class` each class has
    vectors of its own. `parts` are rows `[r]` that go through the tower together; they and `ends`
    lie on the processor, which has to know how long a sentence is.
    """

    tower: Tower
    start: Tensor
    tokens: Tensor
    places: Tensor
    ends: Tensor
    vectors: int
    shared: int
    per_class: bool
    parts: tuple[Tensor, ...]

    @property
    def learned(self) -> bool:
        """Whether learned vectors stand among a class's own words."""
        return self.per_class or self.shared < self.vectors

    @property
    def length(self) -> int:
        """Tokens of the longest."""
        return int(self.ends.max()) + 2 + self.shared


def sentences(
    tower: Tower,
    names: Sequence[Sequence[int]],
    rest: Sequence[Sequence[int]],
    vectors: int,
    position: Position = "end",
    per_class: bool = False,
    room: float = 3e9,
) -> Sentences:
    """Sentences of classes: tokens of their `names`, and of what follows the name (`.`).

    `vectors` is M, which with `per_class` are each class's own, so that nothing but the start is
    shared. `room` are the bytes that may be kept for a backward pass, by which the classes go in
    parts; for several groups of contexts give the room of one.
    """
    before = {"end": vectors, "middle": vectors // 2, "front": 0}[position]
    own = [PLACE] * before if per_class else []
    later = [PLACE] * (vectors - before)
    rows = [
        [*own, *name, *later, *more, tower.stop] for name, more in zip(names, rest, strict=True)
    ]
    device = tower.weights["token_embedding"].device
    lengths = torch.tensor([len(row) for row in rows])
    ids = torch.zeros(len(rows), int(lengths.max()), dtype=torch.long)
    for row, mine in zip(ids, rows, strict=True):
        row[: len(mine)] = torch.tensor(mine)
    learned = ids == PLACE
    places = (learned.cumsum(1) - 1 + (0 if per_class else before)).where(learned, torch.tensor(-1))
    most = int(room / text_tower.bytes_of(tower, 1)) - (1 + vectors)
    return Sentences(
        tower,
        text_tower.embed(tower, torch.tensor(tower.start, device=device)),
        text_tower.embed(tower, ids.clamp(min=0).to(device)),
        places.to(device),
        lengths - 1,
        vectors,
        0 if per_class else before,
        per_class,
        tuple(_parts(lengths, most)),
    )


def encode(
    those: Sentences, contexts: Tensor, beside: Beside | None = None, deep: Deep | None = None
) -> Tensor:
    """Raw embeddings `[g, c, d]` of all sentences with each of the contexts `[g, M, w]`.

    Contexts of each class are `[c, M, w]` and one group, where `sentences` was told so. `deep` are
    vectors of each class that take the place of those that all sentences begin with. Of several
    parts nothing is kept for the backward pass, which computes each again by itself: the gradient
    is the same, and the memory that of one part.
    """
    if len(those.parts) == 1:
        found = [_some(those, those.parts[0], contexts, beside, deep)]
    else:
        found = [
            checkpoint(
                _some, those, rows, contexts, beside, deep, use_reentrant=False,
                preserve_rng_state=False,
            )
            for rows in those.parts
        ]  # fmt: skip
    order = torch.cat(those.parts).argsort()
    return torch.cat(found, 1)[:, order]


def each_own(those: Sentences, rows: Tensor) -> Sentences:
    """The sentences of classes `rows [r]`, each with vectors of its own.

    A class may be named more than once; all are one part.
    """
    ends, rows = those.ends[rows.cpu()], rows.to(those.tokens.device)
    first = torch.arange(those.shared, device=rows.device).expand(len(rows), -1)
    empty = those.tokens.new_zeros(len(rows), those.shared, those.tokens.shape[2])
    return replace(
        those,
        tokens=torch.cat([empty, those.tokens[rows]], 1),
        places=torch.cat([first, those.places[rows]], 1),
        ends=ends + those.shared,
        shared=0,
        per_class=True,
        parts=(torch.arange(len(rows)),),
    )


def inputs(those: Sentences, rows: Tensor, contexts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What the tower takes of some classes: `own [g, r, l, w]`, `ends [r]`, `shared [g, p, w]`."""
    ends = those.ends[rows]
    longest, rows = int(ends.max()) + 1, rows.to(those.tokens.device)
    places, own = those.places[rows, :longest], those.tokens[rows, :longest]
    own = own.to(contexts.dtype)
    first = contexts[:1, :0] if those.per_class else contexts[:, : those.shared]
    if those.learned:
        where = places.clamp(min=0)
        # [g, r, l, w]
        chosen = contexts[rows[:, None], where][None] if those.per_class else contexts[:, where]
        own = chosen.where((places >= 0)[..., None], own)
    else:
        own = own.expand(len(first), *own.shape)
    start = those.start.to(contexts.dtype).expand(len(first), 1, -1)
    return own, ends, torch.cat([start, first], 1)


def _some(
    those: Sentences, rows: Tensor, contexts: Tensor, beside: Beside | None, deep: Deep | None
) -> Tensor:
    tower = those.tower
    own, ends, shared = inputs(those, rows, contexts)
    if deep is None:
        return text_tower.encode(tower, own, ends, shared, beside=beside)
    block, vectors = deep[0], deep[1][rows.to(own.device)]
    own, before = text_tower.placed(tower, own, shared)
    own, before = text_tower.through(tower, own, before, range(block), beside)
    assert before is not None
    own = torch.cat([vectors.to(own).expand(len(own), -1, -1, -1), own], 2)
    before = before[:, :1]
    last = tower.layers - 1
    own, before = text_tower.through(tower, own, before, range(block, last), beside)
    return text_tower.ended(tower, own, ends + vectors.shape[1], before, beside)


def _parts(lengths: Tensor, most: int) -> list[Tensor]:
    """Rows by their length `[c]`, so that a part has so many tokens at most, or one row."""
    order = lengths.argsort(stable=True)
    sizes, found, first = lengths[order].tolist(), list[Tensor](), 0
    while first < len(sizes):
        last = first + 1
        while last < len(sizes) and sizes[last] * (last + 1 - first) <= most:
            last += 1
        found.append(order[first:last])
        first = last
    return found
