"""Few-shot adapters on cached embeddings: draw, fit, choose, score, keep.

The public names, imported when first used, so that light commands start fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adapters.adapter import Adapter, load
    from adapters.episode import Draw, Episode, Labelled, Query, Support, Text, draw
    from adapters.evaluate import accuracy, harmonic_mean, spread
    from adapters.experiment import Experiment, Outcome, fit, run
    from adapters.registry import get, names
    from adapters.results import Results

_HOMES = {
    "Adapter": "adapter",
    "Draw": "episode",
    "Episode": "episode",
    "Experiment": "experiment",
    "Labelled": "episode",
    "Outcome": "experiment",
    "Query": "episode",
    "Results": "results",
    "Support": "episode",
    "Text": "episode",
    "accuracy": "evaluate",
    "draw": "episode",
    "fit": "experiment",
    "get": "registry",
    "harmonic_mean": "evaluate",
    "load": "adapter",
    "names": "registry",
    "run": "experiment",
    "spread": "evaluate",
}

__all__ = [
    "Adapter",
    "Draw",
    "Episode",
    "Experiment",
    "Labelled",
    "Outcome",
    "Query",
    "Results",
    "Support",
    "Text",
    "accuracy",
    "draw",
    "fit",
    "get",
    "harmonic_mean",
    "load",
    "names",
    "run",
    "spread",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'adapters' has no attribute {name!r}")
    return getattr(import_module(f"adapters.{_HOMES[name]}"), name)
