"""Parts of `benchmarks/reading.py`, each in the time that it has."""

from __future__ import annotations

import argparse
import time
from typing import Any

from fits_parts.conditions import child
from fits_parts.timing import Rows

SHARES = {"draws": 1, "opening": 3, "fits": 6}  # of the time; the quickest first


def reading(asked: argparse.Namespace, until: float) -> Rows:
    """Draws, opening, an import and fits of 1,281,167 training rows and more."""
    left = sum(SHARES.values())
    for part, share in SHARES.items():
        now = time.monotonic()
        yield from child("reading", [part], asked, {}, now + max(0, until - now) * share / left)
        left -= share


def reading_here(asked: argparse.Namespace, until: float) -> Rows:
    """What a part of benchmarks/reading.py finds, as it comes: a row a process or number."""
    import reading as parts

    for part in asked.methods.split(","):
        for name, found in parts.found(part):
            yield from told(f"{part}: {name}", found)
        yield part, {}  # all of it is there


def told(name: str, found: Any) -> Rows:
    """The row of a process, with those of what it did by itself; or of a number."""
    if not isinstance(found, dict):
        yield name, {"cpu": found}
        return
    peak = found["peak_mb"] / 1024
    yield name, {"wall": found["wall_s"], "cpu": found["processor_s"], "peak_gb": peak}
    for key, value in found.items():
        if key.endswith("_s") and key not in ("wall_s", "processor_s"):
            yield f"{name}: {key.removesuffix('_s')}", {"cpu": value}
