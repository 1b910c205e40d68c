"""Result rows made up for reports: every column that a run writes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas

from adapters.report.rows import Section, runs
from adapters.results import COLUMNS

# As it is given to a results store, with little in it.
ROW: dict[str, Any] = {
    **dict.fromkeys(COLUMNS),
    "run": "0123",
    "method": "fma",
    "shots": 4,
    "seed": 1,
    "accuracy": 91.25,
    "settings": {"blocks": 2},
    "status": "done",
}


def row(**changes: Any) -> dict[str, Any]:
    """A finished run; settings and config may be given as mappings."""
    found: dict[str, Any] = dict.fromkeys(COLUMNS) | {
        "dataset": "animals", "backbone": "RN50:openai", "task": "few-shot", "method": "gda",
        "policy": "none", "shots": 4, "seed": 1, "accuracy": 80.0, "n_test": 100,
        "fit_seconds": 0.1, "predict_seconds": 0.01, "transductive": 0, "bank": "imported",
        "views": 0, "entry": "animals/RN50_openai/abc", "settings": {}, "config": {},
        "code": "c0de", "versions": {"featcache": "0.1.0"}, "time": "2026-01-01T00:00:00+00:00",
        "status": "done",
    } | changes  # fmt: skip
    found = {k: json.dumps(v) if isinstance(v, dict) else v for k, v in found.items()}
    asked = (
        "entry",
        "dataset",
        "features",
        "task",
        "shots",
        "seed",
        "method",
        "settings",
        "policy",
        "code",
    )
    return {"run": " ".join(str(found[name]) for name in asked), **found}


def frame(
    methods: Sequence[str] = ("zero-shot", "gda", "tip-adapter"),
    datasets: Sequence[str] = ("animals", "plants"),
    shots: Sequence[int] = (1, 4),
    seeds: Sequence[int] = (1, 2, 3),
) -> pandas.DataFrame:
    """Every method at every draw; later methods are better, and all gain with shots."""
    rng = np.random.default_rng(0)
    return pandas.DataFrame(
        [
            row(method=m, dataset=d, shots=k, seed=s, fit_seconds=0.1 * (i + 1),
                accuracy=60 + 5 * i + k + float(rng.normal()), entry=f"{d}/RN50_openai/abc")
            for i, m in enumerate(methods)
            for d in datasets
            for k in shots
            for s in seeds
        ]
    )  # fmt: skip


def halves(
    base: float, new: float, mean: float, method: str = "gda", **changes: Any
) -> list[dict[str, Any]]:
    """The two rows of a base-to-new run: one run id, and what the halves add up to in both."""
    accuracies = {"base": base, "new": new}
    same = {"method": method, "task": "base-to-new", "harmonic_mean": mean} | changes
    return [row(**same, target=half, accuracy=score) for half, score in accuracies.items()]


def section_of(made: pandas.DataFrame) -> Section:
    """The only section of these rows."""
    (found,) = runs(made).sections()
    return found


def elsewhere(source: str = "birds", **changes: Any) -> list[dict[str, Any]]:
    """The rows of a run scored on its source, on `zoo`, and on some of its classes."""
    told = {"dataset": source, "task": "domain-generalization", **changes}
    scores = {source: (90.0, 90.0), "zoo": (70.0, 70.0), f"{source}-few": (80.0, 60.0)}
    return [
        row(**told, target=name, target_entry=f"{name}/x/y", accuracy=own, strict_accuracy=strict,
            target_mean=75.0)
        for name, (own, strict) in scores.items()
    ]  # fmt: skip
