"""Sweeps of quick runs, and what became of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adapters.results import Results
from adapters.scoring import Row
from adapters.sweeping.engine import Engine
from adapters.sweeping.grid import grid
from adapters.sweeping.runs import Run
from adapters.sweeping.sweep import sweep
from featcache.store.cache import FeatureCache
from tests.adapters.meadows import BIRDS, TEST, meadow

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


def elsewhere(engine: Engine, folder: Path) -> None:
    """An engine gives the rows of this process on other sets, and a second sweep does none again.

    The other sets have all and some of the classes.
    """
    meadow(folder)
    meadow(folder, "sketches", BIRDS[::-1], TEST)
    meadow(folder, "few", BIRDS[1:3], TEST)
    words: dict[str, Any] = {"dataset": "birds", "on": ["few", "sketches"], "seed": [1, 2]}
    cache = FeatureCache(folder / "cache")
    runs = runs_of(cache, method=["zero-shot", "gda"], task="domain-generalization", **words)
    runs += runs_of(cache, method="zero-shot", task="cross-dataset", **words)
    results, own = Results(folder / "theirs.sqlite"), Results(folder / "own.sqlite")
    try:
        assert sweep(runs, engine, results).done == len(runs) == 12
    finally:
        engine.close()
    assert sweep(runs, None, results).before == 12
    sweep(runs, None, own, stack="off")
    assert _by_target(results) == _by_target(own)
    assert len(_by_target(own)) == 3 * 12


def _by_target(results: Results) -> dict[tuple[str, str], list[float]]:
    """What each row says of how good it was, by run and target."""
    frame = results.frame()
    counts = frame[["accuracy", "strict_accuracy", "target_mean"]].astype(float).fillna(-1)
    keys = zip(frame["run"], frame["target"], strict=True)
    return dict(zip(keys, counts.to_numpy().tolist(), strict=True))
