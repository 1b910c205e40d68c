"""Sweeps of quick runs, and what became of them."""

from __future__ import annotations

from typing import Any

from adapters.results import Results
from adapters.scoring import Row
from adapters.sweeping.engine import Engine
from adapters.sweeping.grid import grid
from adapters.sweeping.runs import Run
from adapters.sweeping.sweep import sweep
from featcache.store.cache import FeatureCache

METHODS = ["zero-shot", "gda", "ncm"]


def runs_of(cache: FeatureCache, **words: Any) -> list[Run]:
    """Eighteen runs, or those of other words."""
    return grid(cache, **{"method": METHODS, "shots": [1, 2], "seed": [1, 2, 3], **words})


def accuracies(results: Results) -> dict[str, float]:
    """By run, of which each has one row."""
    frame = results.frame()
    assert frame["run"].is_unique
    return dict(zip(frame["run"], frame["accuracy"], strict=True))


def here(runs: list[Run]) -> dict[str, float]:
    """Accuracies by run, done in this process one after the other."""
    rows: dict[str, float] = {}

    def note(row: Row) -> None:
        rows[row["run"]] = row["accuracy"]

    sweep(runs, on_row=note, stack="off")
    return rows


def by(engine: Engine, runs: list[Run], results: Results) -> dict[str, float]:
    """Accuracies by run, done by an engine that is closed afterwards, and all of them done."""
    try:
        summary = sweep(runs, engine, results)
    finally:
        engine.close()
    assert (summary.done, summary.failed) == (len(runs), 0)
    return accuracies(results)
