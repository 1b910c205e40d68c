"""Where a GPU pays: seconds of a fit of each method, measured on a processor and on a GPU.

`data/crossover.json` is written by `python benchmarks/devices.py` on a machine that has both: by
method the pictures of a draw with the seconds on either, how many times as fast runs are that are
stacked on the GPU, and the seconds that it takes to start. Between the sizes measured, those of the
next smaller one count.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from functools import cache
from typing import Any

import torch

from featcache.resources import data_path

GPU, PROCESSOR = "cuda", "cpu"


@cache
def measured() -> dict[str, Any]:
    """What the file holds."""
    path = data_path("crossover.json")
    nothing: dict[str, Any] = {"start_s": 0.0, "fits": {}, "stacked": {}}
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else nothing


def saved(methods: Iterable[str], pictures: int, cores: int = 1, stacked: bool = False) -> float:
    """Seconds by which a fit of all these methods is shorter on a GPU; below 0 where it is longer.

    `cores` is over how many of them the processor's fits are spread without any loss, `stacked`
    whether those of the GPU are trained together. What was not measured is never shorter.
    """
    gained = 0.0
    for name in methods:
        if name not in measured()["fits"]:
            return -math.inf
        _, here, there = of_size(measured()["fits"][name], pictures)
        gained += here / cores - there / (measured()["stacked"].get(name, 1.0) if stacked else 1.0)
    return gained


def of_size(rows: list[list[float]], pictures: int) -> list[float]:
    """The row of the largest size that is not above so many pictures, else of the smallest."""
    below = [row for row in rows if row[0] <= pictures]
    return max(below) if below else min(rows)


def pays(seconds: float) -> bool:
    """Whether there is a GPU, and so many seconds saved are more than it takes to start."""
    return seconds > measured()["start_s"] and torch.cuda.is_available()


def chosen(device: str, methods: Iterable[str], pictures: int) -> str:
    """The device as it was named, where `auto` is the one that is sooner done with one fit."""
    if device != "auto":
        return device
    return GPU if pays(saved(methods, pictures)) else PROCESSOR
