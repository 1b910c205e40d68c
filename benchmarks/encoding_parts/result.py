"""What was measured so far, and how: in turn, several times, medians of it."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch

RESULTS = Path(__file__).resolve().parents[1] / "results"


class Result:
    """What was measured so far: told, and written after each part."""

    def __init__(self, kind: str) -> None:
        name = torch.cuda.get_device_name() if kind == "cuda" else "cpu"
        slug = name.lower().replace(" ", "-")
        self.path = RESULTS / f"encoding-{slug}.json"
        packages = ("torch", "open_clip_torch", "numpy", "pillow", "simplejpeg")
        self.document: dict[str, Any] = {
            "device": name,
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "python": platform.python_version(),
            "versions": {each: _version(each) for each in packages},
            "picture": "500 x 375 JPEG",
        }
        self.began = time.perf_counter()

    def add(self, part: str, **values: Any) -> None:
        self.document.setdefault(part, {}).update(values)
        self.document["seconds"] = round(time.perf_counter() - self.began, 1)
        self.path.parent.mkdir(exist_ok=True)
        self.path.write_text(json.dumps(self.document, indent=1) + "\n")
        print(f"[{self.document['seconds']:6.1f} s] {part}: {json.dumps(values)}", flush=True)


def _version(package: str) -> str:
    try:
        return version(package)
    except Exception:
        return "?"


class Part(NamedTuple):
    """How many pictures go through some work."""

    count: int
    work: Callable[[], object]


class Measured(NamedTuple):
    """Pictures a second by the clock, and microseconds of all cores together a picture."""

    rate: float
    processor_us: float


def in_turn(rounds: int, parts: dict[str, Part]) -> dict[str, Measured]:
    """Medians of what is measured in turn."""
    found: dict[str, list[Measured]] = {name: [] for name in parts}
    for _ in range(rounds):
        for name, part in parts.items():
            found[name].append(measured(part))
    return {
        name: Measured(*(round(median(each), 2) for each in zip(*several, strict=True)))
        for name, several in found.items()
    }


def measured(part: Part) -> Measured:
    before, began = _processor(), time.perf_counter()
    part.work()
    wall, spent = time.perf_counter() - began, _processor() - before
    return Measured(part.count / wall, 1e6 * spent / part.count)


def rate(count: int, work: Callable[[], object]) -> float:
    return measured(Part(count, work)).rate


def _processor() -> float:
    """Seconds of this process and of those it has waited for."""
    return sum(os.times()[:4])
