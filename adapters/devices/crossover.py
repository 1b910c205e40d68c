"""Where a GPU pays: the pictures of a draw from which on a method's fit was measured to be faster.

`data/crossover.json` is written by `python benchmarks/devices.py` on a machine that has one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache

import torch

from featcache.resources import data_path

GPU, PROCESSOR = "cuda", "cpu"


@cache
def measured() -> dict[str, int | None]:
    """The least pictures by method; None where it was never faster, nothing where not measured."""
    path = data_path("crossover.json")
    if not path.exists():
        return {}
    found: dict[str, int | None] = json.loads(path.read_text(encoding="utf-8"))["pictures"]
    return found


def pays(methods: Iterable[str], pictures: int) -> bool:
    """Whether there is a GPU, and each of the methods is faster on it with so many pictures."""
    least = [measured().get(name) for name in methods]
    faster = all(each is not None and pictures >= each for each in least)
    return faster and torch.cuda.is_available()


def chosen(device: str, methods: Iterable[str], pictures: int) -> str:
    """The device as it was named, where `auto` is the faster one."""
    if device != "auto":
        return device
    return GPU if pays(methods, pictures) else PROCESSOR
