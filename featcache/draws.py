"""Which training pictures few-shot draws can use: CoOp's rule, needed on both sides of the cache.

Zhou et al. 2022 (Dassl's `generate_fewshot_dataset`): one `random.Random(seed)`, the train list
before the val list, classes in order of first appearance, `random.sample` of K items each. A draw
that is `natural` (SS-Text, arXiv 2506.17500) samples K x C pictures of the list whatever their
class, so that a class may have none; `all` is every picture there is.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Final, Literal

SHOTS = (1, 2, 4, 8, 16)
SEEDS = (1, 2, 3)
VAL_SHOTS = 4

ALL: Final = "all"  # as a number of shots: every picture there is
BALANCED, NATURAL = "balanced", "natural"
KINDS = (BALANCED, NATURAL)
Shots = int | Literal["all"]


def draw_rows(labels: Sequence[int], shots: int, rng: random.Random) -> list[int]:
    """Row indices of one draw: `shots` a class, classes in order of first appearance.

    A class with fewer rows gives all it has, in list order.
    """
    rows: dict[int, list[int]] = {}
    for row, label in enumerate(labels):
        rows.setdefault(int(label), []).append(row)
    drawn: list[int] = []
    for mine in rows.values():
        drawn += rng.sample(mine, shots) if len(mine) >= shots else mine
    return drawn


def natural_rows(rows: int, count: int, rng: random.Random) -> list[int]:
    """So many of the rows of a list, each set of them as likely: classes come as they occur.

    `random.sample`, in the order drawn; all in list order where there are not more than `count`.
    """
    return rng.sample(range(rows), count) if rows > count else [*range(rows)]


def drawable(
    labels: Sequence[int], shots: Iterable[int] = SHOTS, seeds: Iterable[int] = SEEDS
) -> list[int]:
    """Rows of the train list that any of these draws uses, ascending."""
    seeds = tuple(seeds)
    draws = (draw_rows(labels, k, random.Random(s)) for k in shots for s in seeds)
    return sorted({row for draw in draws for row in draw})
