"""Dividing a data set without splits of its own: at random, class by class, reproducibly."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

from featcache.datasets.dataset import SPLITS
from featcache.errors import ConfigError

FRACTIONS = (0.5, 0.2, 0.3)  # train, val, test: as CoOp divides the sets it splits itself
T = TypeVar("T")


def divide(
    classes: Sequence[Sequence[T]], seed: int, fractions: tuple[float, float, float] = FRACTIONS
) -> dict[str, list[list[T]]]:
    """Divide each class at random but reproducibly into train, val and test, order kept.

    Each class of two members or more gives at least one to train and one to test. Raises
    ConfigError for fractions that are negative or do not add up to 1.
    """
    if not (min(fractions) >= 0 and abs(sum(fractions) - 1) < 1e-6):  # not (…): NaN fails too
        raise ConfigError(f"the fractions {fractions} must not be negative and must add up to 1.")
    rng = random.Random(seed)
    splits: dict[str, list[list[T]]] = {split: [] for split in SPLITS}
    for members in classes:
        n = len(members)
        order = rng.sample(range(n), n)
        test = min(max(1, round(fractions[2] * n)), n - 1)
        val = min(round(fractions[1] * n), n - 1 - test)
        parts = order[test + val :], order[test : test + val], order[:test]
        for split, part in zip(SPLITS, parts, strict=True):
            splits[split].append([members[i] for i in sorted(part)])
    return splits
