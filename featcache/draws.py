"""Which training pictures few-shot draws can use: CoOp's rule, needed on both sides of the cache.

Zhou et al. 2022 (Dassl's `generate_fewshot_dataset`): one `random.Random(seed)`, the train list
before the val list, classes in order of first appearance, `random.sample` of K items each. A draw
that is `natural` (SS-Text, arXiv 2506.17500) samples K x C pictures of the list whatever their
class, so that a class may have none; `all` is every picture there is.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, Literal

from featcache.errors import EpisodeError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SHOTS = (1, 2, 4, 8, 16)
SEEDS = (1, 2, 3)
VAL_SHOTS = 4
POOL_TRAIN, POOL_VAL = 16, 4

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


def few_shot(
    train: Sequence[int], val: Sequence[int] | None, shots: int, seed: int
) -> tuple[list[int], list[int]]:
    """Rows that train and rows that validate, from the labels of both lists by one generator.

    There are `VAL_SHOTS` a class of the latter at most. Without a val list they are rows of the
    train list that were not drawn.
    """
    rng = random.Random(seed)
    rows, held = draw_rows(train, shots, rng), min(shots, VAL_SHOTS)
    if val is not None:
        return rows, draw_rows(val, held, rng)
    drawn = set(rows)
    left = [row for row in range(len(train)) if row not in drawn]
    return rows, [left[at] for at in draw_rows([train[row] for row in left], held, rng)]


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


def pool_indices(
    labels: NDArray[np.int64], seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Training pool `[c, 16]`, validation `[c, 4]` and test `[m]` rows of a pool without splits.

    Raises `EpisodeError` where a class has fewer than 21 rows.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    train, val, test = [], [], []
    for label in range(int(labels.max()) + 1):
        rows = rng.permutation(np.flatnonzero(labels == label))
        if len(rows) <= POOL_TRAIN + POOL_VAL:
            raise EpisodeError(
                f"class {label} has {len(rows)} rows; a pool without splits needs more than "
                f"{POOL_TRAIN + POOL_VAL} a class ({POOL_TRAIN} to train, {POOL_VAL} to validate, "
                "the rest to test)."
            )
        train.append(rows[:POOL_TRAIN])
        val.append(rows[POOL_TRAIN : POOL_TRAIN + POOL_VAL])
        test.append(rows[POOL_TRAIN + POOL_VAL :])
    return np.stack(train), np.stack(val), np.concatenate(test)
