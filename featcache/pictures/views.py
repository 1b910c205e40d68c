"""Augmented views of a training picture: where to crop and whether to mirror.

A view depends on the recipe, the picture's id and the view's number, and on nothing else: not on
order, workers, machine or library versions. Its random numbers are the bits of a hash, so no
library's generator has to stay as it is. Crops are distributed as those of torchvision's
`RandomResizedCrop`, with which published few-shot numbers were made.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import count

from featcache.errors import ConfigError

TRIES = 10


@dataclass(frozen=True, slots=True)
class ViewRecipe:
    """How many views of each picture, and how they are drawn.

    `scale` is the range of the crop's share of the area, `ratio` that of width by height.
    Raises `ConfigError` for ranges that cannot be drawn from.
    """

    count: int
    seed: int = 1
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: bool = True

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ConfigError(f"views must be 0 or more, not {self.count}.")
        if not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise ConfigError(f"the views' scale must rise within (0, 1], not {self.scale}.")
        if not 0 < self.ratio[0] <= self.ratio[1] < math.inf:
            raise ConfigError(f"the views' ratio must rise above 0, not {self.ratio}.")


@dataclass(frozen=True, slots=True)
class View:
    """A box inside a picture, in pixels, and whether the crop is mirrored."""

    top: int
    left: int
    height: int
    width: int
    flipped: bool


def view(recipe: ViewRecipe, item_id: str, index: int, height: int, width: int) -> View:
    """Draw view `index` (from 1; view 0 is the centre crop) of a picture of `height` x `width`."""
    if index < 1 or min(height, width) < 1:
        raise ConfigError(f"no view {index} of a picture of {height} x {width} pixels.")
    draw = _uniforms(recipe.seed, item_id, index)
    flipped = recipe.flip and next(draw) < 0.5
    low, high = math.log(recipe.ratio[0]), math.log(recipe.ratio[1])
    for _ in range(TRIES):
        area = height * width * _between(*recipe.scale, next(draw))
        ratio = math.exp(_between(low, high, next(draw)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            top = int(next(draw) * (height - h + 1))
            left = int(next(draw) * (width - w + 1))
            return View(top, left, h, w, flipped)
    return _centre(recipe, height, width, flipped)


def _centre(recipe: ViewRecipe, height: int, width: int, flipped: bool) -> View:
    """The largest centred box whose ratio the recipe allows, for pictures too long or too tall."""
    w = max(1, min(width, round(height * recipe.ratio[1])))
    h = max(1, min(height, round(width / recipe.ratio[0])))
    return View((height - h) // 2, (width - w) // 2, h, w, flipped)


def _between(low: float, high: float, u: float) -> float:
    return low + (high - low) * u


def _uniforms(seed: int, item_id: str, index: int) -> Iterator[float]:
    """Endless numbers in [0, 1) with 53 random bits, eight from each hash of key and counter."""
    for block in count():
        key = f"{seed} {index} {block} {item_id}"  # the id last: it may hold spaces itself
        bits = blake2b(key.encode("utf-8", "surrogateescape")).digest()
        for start in range(0, len(bits), 8):
            yield (int.from_bytes(bits[start : start + 8], "little") >> 11) * 2.0**-53
