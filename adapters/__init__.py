"""Few-shot adapters on cached embeddings: draw, fit, choose, score, keep.

The public names, imported when first used, so that light commands start fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adapters.adapter import Adapter, load
    from adapters.compose import get
    from adapters.drawing import draw
    from adapters.episode import Draw, Episode, Labelled, Query, Support, Target, Text
    from adapters.evaluate import accuracy, harmonic_mean, spread
    from adapters.experiment import Experiment
    from adapters.fitting import Outcome, fit, run
    from adapters.registry import names
    from adapters.report.build import figures
    from adapters.results import Results
    from adapters.sweeping.engine import engine
    from adapters.sweeping.grid import Grid, grid
    from adapters.sweeping.search import Search
    from adapters.sweeping.sweep import sweep
    from adapters.using.estimator import FewShotClassifier

_HOMES = {
    "Adapter": "adapter",
    "Draw": "episode",
    "Episode": "episode",
    "Experiment": "experiment",
    "FewShotClassifier": "using.estimator",
    "Grid": "sweeping.grid",
    "Labelled": "episode",
    "Outcome": "fitting",
    "Query": "episode",
    "Results": "results",
    "Search": "sweeping.search",
    "Support": "episode",
    "Target": "episode",
    "Text": "episode",
    "accuracy": "evaluate",
    "draw": "drawing",
    "engine": "sweeping.engine",
    "figures": "report.build",
    "fit": "fitting",
    "get": "compose",
    "grid": "sweeping.grid",
    "harmonic_mean": "evaluate",
    "load": "adapter",
    "names": "registry",
    "run": "fitting",
    "spread": "evaluate",
    "sweep": "sweeping.sweep",
}

__all__ = [
    "Adapter",
    "Draw",
    "Episode",
    "Experiment",
    "FewShotClassifier",
    "Grid",
    "Labelled",
    "Outcome",
    "Query",
    "Results",
    "Search",
    "Support",
    "Target",
    "Text",
    "accuracy",
    "draw",
    "engine",
    "figures",
    "fit",
    "get",
    "grid",
    "harmonic_mean",
    "load",
    "names",
    "run",
    "spread",
    "sweep",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'adapters' has no attribute {name!r}")
    return getattr(import_module(f"adapters.{_HOMES[name]}"), name)
