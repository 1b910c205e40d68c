"""A method's settings, held against what its test says: defaults, what is accepted, presets.

A default that changes changes results under the same name, so it has to be changed in the test too.
Beside each default stand its choices or the interval it is taken from, `[` and `]` where an end
belongs to it. Here are the check and what families of methods share.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, fields
from types import MappingProxyType
from typing import Any

import pytest
from pydantic import ValidationError

from adapters import compose

Settings = dict[str, tuple[Any, Any]]
# Of every learner of prompts.
PROMPTS: Settings = {
    "words": ("a photo of a", ("a photo of a", "", "a sketch of")),
    "context": (16, "[1, inf)"),
    "position": ("end", ("end", "middle", "front")),
    "steps": (100, "[0, inf)"),
    "epochs": (0, "[0, inf)"),
    "batch": (0, "[0, inf)"),
    "optimiser": ("adamw", ("adamw", "sgd")),
    "learning_rate": (2e-3, "(0, inf)"),
    "weight_decay": (5e-4, "[0, inf)"),
    "warm_up": (1e-5, "[0, inf)"),
    "centre": (True, (True, False)),
    "precision": ("fp32", ("fp32", "bf16")),
    "room": (3.0, "(0, inf)"),
}
COOP_CODE = {
    "steps": 0,
    "batch": 32,
    "optimiser": "sgd",
    "learning_rate": 2e-3,
    "weight_decay": 5e-4,
    "centre": False,
}
# Of every cache model.
CACHE: Settings = {
    "alpha": (2.0, "[0, inf)"),
    "beta": (1.0, "[0, inf)"),
    "alpha_scale": (10.0, "[0.1, inf)"),
    "beta_scale": (12.0, "[0.1, inf)"),
}
# Of every cache of chosen channels.
CHANNELS: Settings = {
    **CACHE,
    "gamma": (0.1, "(-inf, inf)"),
    "share": (0.7, "(0, 1]"),
    "similarity": (0.7, "[0, inf)"),
    "variance": (0.3, "[0, inf)"),
    "importance_from": ("text", ("text", "text and pictures")),
}
# Of every linear head.
HEAD: Settings = {
    "text_norm": (10.0, "(0, inf)"),
    "batch": (256, "[1, inf)"),
    "warm_up": (1e-05, "[0, inf)"),
}


def check(name: str, wanted: Settings, presets: Mapping[str, Any] = MappingProxyType({})) -> None:
    """The method has these settings and presets, and takes what it should and no more."""
    method = compose.get(name)
    default = method.config()
    assert {f.name: getattr(default, f.name) for f in fields(default)} == {
        field: value for field, (value, _) in wanted.items()
    }
    assert dict(method.presets) == presets
    with pytest.raises(FrozenInstanceError):
        setattr(default, next(iter(wanted)), 1)
    for field, (value, allowed) in wanted.items():
        taken, refused = _taken(value, allowed), _refused(value, allowed)
        for one in taken:
            assert getattr(method.config(**{field: one}), field) == one, field
        for one in refused:
            with pytest.raises(ValidationError, match=field):
                method.config(**{field: one})


def _taken(default: Any, allowed: str | tuple[Any, ...]) -> tuple[Any, ...]:
    if isinstance(allowed, tuple):
        return allowed
    low, high = _ends(allowed)
    step = _step(default)
    least = low if allowed.startswith("[") else low + step
    most = high if allowed.endswith("]") else high - step
    return tuple(type(default)(x) for x in (least, most) if math.isfinite(x))


def _refused(default: Any, allowed: str | tuple[Any, ...]) -> tuple[Any, ...]:
    if isinstance(allowed, tuple):
        free = bool in {*map(type, allowed)} or "" in allowed  # no text is refused
        return () if free else ("no such choice",)
    low, high = _ends(allowed)
    step = _step(default)
    under = low - step if allowed.startswith("[") else low
    over = high + step if allowed.endswith("]") else high
    return tuple(type(default)(x) for x in (under, over) if math.isfinite(x))


def _ends(interval: str) -> tuple[float, float]:
    low, _, high = interval[1:-1].partition(", ")
    return float(low), float(high)


def _step(default: Any) -> float:
    return 1 if isinstance(default, int) else 1e-9
