"""Sentences with learned vectors are the plain ones, whatever is shared, cut or done in parts."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from adapters.maths import prompts, text_tower
from adapters.maths.prompts import Position, Sentences
from adapters.maths.text_tower import Tower
from tests.adapters.speaking import random_tower

NAMES, REST = [[5], [7, 8, 9, 10], [11, 12], [5, 5, 5]], [[3]] * 4
M = 4
TOWER = random_tower().to(dtype=torch.float64)


def made(position: Position = "end", per_class: bool = False, room: float = 1e9) -> Sentences:
    return prompts.sentences(TOWER, NAMES, REST, M, position, per_class, room)


def contexts(groups: int) -> Tensor:
    g = torch.Generator().manual_seed(1)
    drawn = torch.randn(groups, M, TOWER.width, generator=g, dtype=torch.float64)
    return drawn.requires_grad_()


def plainly(tower: Tower, v: Tensor, position: str) -> Tensor:
    """Whole padded sequences `[c, d]` one by one; `v [c, M, w]`."""

    def words(ids: list[int]) -> Tensor:
        return text_tower.embed(tower, torch.tensor(ids, dtype=torch.long))

    found = []
    for mine, name, rest in zip(v, NAMES, REST, strict=True):
        middle = {
            "end": [mine, words(name)],
            "middle": [mine[: M // 2], words(name), mine[M // 2 :]],
            "front": [words(name), mine],
        }[position]
        x = torch.cat([words([tower.start]), *middle, words([*rest, tower.stop])])
        end = torch.tensor([len(x) - 1])
        x = torch.cat([x, words([0] * (tower.context - len(x)))])
        found.append(text_tower.encode(tower, x[None, None], end)[0])
    return torch.cat(found)


@pytest.mark.parametrize("position", ["end", "middle", "front"])
@pytest.mark.parametrize("per_class", [False, True])
@pytest.mark.parametrize("room", [1e9, 1.0, 60000.0])
def test_they_are_the_plain_ones_and_so_are_gradients(
    position: Position, per_class: bool, room: float
) -> None:
    those = made(position, per_class, room)
    assert (len(those.parts) > 1) == (room < 1e9)
    v = contexts(len(NAMES) if per_class else 1)
    found = prompts.encode(those, v)
    assert found.shape[0] == 1
    wanted = plainly(TOWER, v.expand(len(NAMES), -1, -1), position)
    torch.testing.assert_close(found[0], wanted, atol=1e-12, rtol=1e-12)
    loss = [each.softmax(-1)[..., :3].square().sum() for each in (found[0], wanted)]
    ours, theirs = (torch.autograd.grad(each, v)[0] for each in loss)
    torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-10)


@pytest.mark.parametrize("room", [1e9, 1.0])
def test_deep_vectors_stand_where_those_of_the_beginning_stood(room: float) -> None:
    """By hand: whole sentences, a block of the tower, the exchange, the other."""
    those, v = made(room=room), contexts(1)
    g = torch.Generator().manual_seed(2)
    deep = torch.randn(len(NAMES), M, TOWER.width, generator=g, dtype=torch.float64)
    found = prompts.encode(those, v, deep=(1, deep))[0]
    for c, (name, rest) in enumerate(zip(NAMES, REST, strict=True)):
        words = text_tower.embed(TOWER, torch.tensor([TOWER.start, *name, *rest, TOWER.stop]))
        x = torch.cat([words[:1], v[0], words[1:]])[None, None]
        x, _ = text_tower.through(TOWER, text_tower.placed(TOWER, x)[0], None, range(1))
        x = torch.cat([x[:, :, :1], deep[None, c : c + 1], x[:, :, 1 + M :]], 2)
        wanted = text_tower.ended(TOWER, x, torch.tensor([x.shape[2] - 1]))[0, 0]
        torch.testing.assert_close(found[c], wanted, atol=1e-12, rtol=1e-12)


def test_several_contexts_are_each_by_itself() -> None:
    for position in ("end", "middle", "front"):
        those, v = made(position), contexts(3)  # type: ignore[arg-type]
        together = prompts.encode(those, v)
        apart = torch.cat([prompts.encode(those, each[None]) for each in v])
        torch.testing.assert_close(together, apart, atol=1e-12, rtol=1e-12)


def test_parts_hold_no_more_than_there_is_room_for() -> None:
    those = made(room=60000.0)
    assert sorted(torch.cat(those.parts).tolist()) == [*range(len(NAMES))]
    most = 60000 / text_tower.bytes_of(TOWER, 1)
    for rows in those.parts:
        assert len(rows) == 1 or len(rows) * int(those.ends[rows].max() + 1) + 1 + M <= most
    assert those.length == 1 + M + 4 + 2
