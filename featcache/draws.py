"""Which training pictures few-shot draws can use: CoOp's rule, needed on both sides of the cache.

Zhou et al. 2022 (Dassl's `generate_fewshot_dataset`): one `random.Random(seed)`, the train list
before the val list, classes in order of first appearance, `random.sample` of K items each. A draw
that is `natural` (SS-Text, arXiv 2506.17500) samples K x C pictures of the list whatever their
class, so that a class may have none; `all` is every picture there is.
"""

from __future__ import annotations

import operator
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Literal

from featcache.errors import ConfigError, EpisodeError

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
MOST = 2**63 - 1  # what a results file and a generator of torch hold


def whole(word: str, value: Any, least: int = 0) -> int:
    """The value of a word that counts, as an `int`, NumPy's too.

    Python's generator takes a seed and its negative for the same, so that two rows would be one.
    Raises `ConfigError` for a value that is no whole number from `least` to `MOST`.
    """
    try:
        number = least - 1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = least - 1
    if number < least:
        raise ConfigError(f"{word} must be whole numbers of at least {least}, got {value!r}.")
    if number > MOST:
        raise ConfigError(f"{word} must be whole numbers of at most {MOST}, got {value!r}.")
    return number


def some(shots: Any) -> Shots:
    """A number of shots, or `all`. Raises `ConfigError` for what is neither."""
    return ALL if isinstance(shots, str) and shots == ALL else whole("shots", shots, 1)


@dataclass(frozen=True)
class Groups:
    """The rows of a list by class: `rows [n]`, ascending in each; class c begins at `starts[c]`.

    `starts [c + 1]` ends with n. A class may be empty.
    """

    rows: NDArray[np.int64]
    starts: NDArray[np.int64]

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many rows each class has `[c]`."""
        found: NDArray[np.int64] = self.starts[1:] - self.starts[:-1]
        return found


def grouped(labels: Sequence[int] | NDArray[np.int64]) -> Groups:
    """The rows with these labels, whole numbers from 0."""
    import numpy as np

    array = np.asarray(labels, np.int64)
    counts = np.bincount(array)
    # Numbers of 16 bits are sorted by their digits, ten times as fast.
    small = array.astype(np.int16) if len(counts) <= np.iinfo(np.int16).max else array
    return Groups(np.argsort(small, kind="stable"), np.concatenate([[0], np.cumsum(counts)]))


def draw_places(
    groups: Groups, shots: int, rng: random.Random, but: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """Where among the groups' rows one draw lies: `shots` a class, in order of first appearance.

    A class with fewer rows gives all it has, in list order. Those at the places `but` are as if
    they were not there.
    """
    import numpy as np

    counts, first = groups.counts.tolist(), groups.starts[:-1].tolist()
    gone: dict[int, list[int]] = {}
    if but is not None:
        but = np.sort(but)
        ends = np.searchsorted(but, groups.starts).tolist()
        inside = but.tolist()
        gone = {c: inside[a:b] for c, (a, b) in enumerate(pairwise(ends)) if b > a}
    there = [c for c, count in enumerate(counts) if count > len(gone.get(c, ()))]
    firsts = groups.rows[[_passing(first[c], gone.get(c, ())) for c in there]]
    found: list[int] = []
    for i in np.argsort(firsts, kind="stable").tolist():
        c = there[i]
        left = counts[c] - len(gone.get(c, ()))
        inner = rng.sample(range(left), shots) if left >= shots else range(left)
        found += [_passing(first[c] + at, gone.get(c, ())) for at in inner]
    return np.array(found, np.int64)


def _passing(place: int, gone: Iterable[int]) -> int:
    """The place of what would stand at `place` if those that are gone, ascending, were not."""
    for each in gone:
        if each > place:
            break
        place += 1
    return place


def draw_rows(
    labels: Sequence[int] | NDArray[np.int64], shots: int, rng: random.Random
) -> list[int]:
    """Row indices of one draw: `shots` a class, classes in order of first appearance.

    A class with fewer rows gives all it has, in list order.
    """
    groups = grouped(labels)
    drawn: list[int] = groups.rows[draw_places(groups, shots, rng)].tolist()
    return drawn


def few_shot(
    train: Sequence[int] | NDArray[np.int64],
    val: Sequence[int] | NDArray[np.int64] | None,
    shots: int,
    seed: int,
) -> tuple[list[int], list[int]]:
    """Rows that train and rows that validate, from the labels of both lists by one generator.

    There are `VAL_SHOTS` a class of the latter at most. Without a val list they are rows of the
    train list that were not drawn.
    """
    rng, held, groups = random.Random(seed), min(shots, VAL_SHOTS), grouped(train)
    drawn = draw_places(groups, shots, rng)
    rows: list[int] = groups.rows[drawn].tolist()
    if val is not None:
        return rows, draw_rows(val, held, rng)
    left: list[int] = groups.rows[draw_places(groups, held, rng, drawn)].tolist()
    return rows, left


def natural_rows(rows: int, count: int, rng: random.Random) -> list[int]:
    """So many of the rows of a list, each set of them as likely: classes come as they occur.

    `random.sample`, in the order drawn; all in list order where there are not more than `count`.
    """
    return rng.sample(range(rows), count) if rows > count else [*range(rows)]


def drawable(
    labels: Sequence[int], shots: Iterable[int] = SHOTS, seeds: Iterable[int] = SEEDS
) -> list[int]:
    """Rows of the train list that any of these draws uses, ascending."""
    seeds, groups = tuple(seeds), grouped(labels)
    draws = (draw_places(groups, k, random.Random(s)) for k in shots for s in seeds)
    return sorted({row for places in draws for row in groups.rows[places].tolist()})


def pool_indices(
    labels: NDArray[np.int64], seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Training pool `[c, 16]`, validation `[c, 4]` and test `[m]` rows of a pool without splits.

    Raises `EpisodeError` where a class has fewer than 21 rows.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    train, val, test = [], [], []
    groups = grouped(labels)
    for label, mine in enumerate(np.split(groups.rows, groups.starts[1:-1])):
        rows = rng.permutation(mine)
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
