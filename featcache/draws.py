"""Which training pictures few-shot draws can use: CoOp's rule, needed on both sides of the cache.

Zhou et al. 2022 (Dassl's `generate_fewshot_dataset`): one `random.Random(seed)`, the train list
before the val list, classes in order of first appearance, `random.sample` of K items each.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

SHOTS = (1, 2, 4, 8, 16)
SEEDS = (1, 2, 3)
VAL_SHOTS = 4


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


def drawable(
    labels: Sequence[int], shots: Iterable[int] = SHOTS, seeds: Iterable[int] = SEEDS
) -> list[int]:
    """Rows of the train list that any of these draws uses, ascending."""
    seeds = tuple(seeds)
    draws = (draw_rows(labels, k, random.Random(s)) for k in shots for s in seeds)
    return sorted({row for draw in draws for row in draw})
