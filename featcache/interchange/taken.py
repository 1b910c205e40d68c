"""What is taken from files of a project: named arrays, support sets, and what is known of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featcache.errors import ImportRefusedError

SINGLE, MEAN, STACKED = "none", "mean", "stacked"  # what became of augmented views
TRAIN, VAL = "train", "val"


@dataclass(frozen=True)
class Drawn:
    """Pictures that somebody drew: `features [v, n, d]` as they came, `labels [n]`.

    `seed` is None where the files do not say it, `shots` is K. `part` is `val` for what was drawn
    to validate with that support; `pre` says that the features stand before the last projection.
    """

    shots: int
    seed: int | None
    features: NDArray[Any]
    labels: NDArray[Any]
    ids: tuple[str, ...] | None = None
    part: str = TRAIN
    pre: bool = False

    @property
    def name(self) -> str:
        """What it is called: `k16-s1`, or `k16-s1-val`."""
        of = f"k{self.shots}-s{'?' if self.seed is None else self.seed}"
        return of if self.part == TRAIN else f"{of}-{self.part}"


@dataclass(frozen=True)
class Taken:
    """Arrays in the words of `featcache.interchange.arrays`, and support sets beside them.

    `views` says whether augmented views are `stacked`, gone into a `mean`, or there were `none`;
    `transposed` whether features lay as `[d, n]`; `remarks` are sentences for people, `left` names
    of arrays that were not understood, `classes` how many there are where one-hot labels tell.
    """

    arrays: dict[str, NDArray[Any]]
    supports: tuple[Drawn, ...] = ()
    views: str = SINGLE
    transposed: bool = False
    remarks: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    classes: int | None = None

    def seeded(self, seed: int | None) -> Taken:
        """With that seed for the support sets whose files do not say it."""
        known = (replace(d, seed=seed) if d.seed is None else d for d in self.supports)
        return replace(self, supports=tuple(known))

    @property
    def seedless(self) -> bool:
        """Whether some support set has no seed yet."""
        return any(each.seed is None for each in self.supports)


def put(arrays: dict[str, NDArray[Any]], name: str, array: NDArray[Any], where: object) -> None:
    """Add an array; twice the same is once.

    Raises `ImportRefusedError` where another stands there: two data sets, or two settings.
    """
    held = arrays.setdefault(name, array)
    if held is not array and (held.shape != array.shape or not np.array_equal(held, array)):
        raise ImportRefusedError(
            f"{where}: other {name} stand in another of the files; give those of one data set, "
            "backbone and setting."
        )
