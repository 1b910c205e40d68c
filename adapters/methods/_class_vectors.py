"""Scores by class vectors, for methods that are told by them and perhaps by adapted features.

    logits = s f w^T,   f the unit embeddings or what the method makes of them, s CLIP's logit scale

The class vectors w `[c, d]` are made once, for any number of pictures.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.nn.functional import normalize

from adapters.method import Scorer, State

Vectors = Callable[[State, Any], Tensor]
Features = Callable[[State, Any, Any], Tensor]


def _unit(_state: State, _config: Any, x: Tensor) -> Tensor:
    return normalize(x, dim=-1)


def scorer(class_vectors: Vectors, features: Features = _unit) -> Callable[[State, Any], Scorer]:
    """The method's `scorer`; without `features`, pictures are their unit embeddings."""

    def made(state: State, config: Any) -> Scorer:
        classes = class_vectors(state, config)
        return lambda x: state["logit_scale"] * features(state, config, x) @ classes.T

    return made


def logits(class_vectors: Vectors, features: Features = _unit) -> Callable[..., Tensor]:
    """The method's `logits` `[q, c]`: the same, of pictures that are asked once."""
    prepared = scorer(class_vectors, features)

    def scores(state: State, config: Any, x: Any) -> Tensor:
        return prepared(state, config)(x)

    return scores
