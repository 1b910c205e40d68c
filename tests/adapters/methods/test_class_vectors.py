"""Scores by class vectors: cosines times the logit scale, of vectors that are made once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn.functional import cosine_similarity, normalize

from adapters.method import State
from adapters.methods import _class_vectors as vectors

X = torch.randn(7, 5, generator=Generator().manual_seed(0))
STATE = {"w": normalize(X[:3].flip(1), dim=-1), "logit_scale": torch.tensor(30.0)}


def own(state: State, config: Any) -> Tensor:
    return config * state["w"]


def halved(state: State, config: Any, x: Tensor) -> Tensor:
    return x / 2


def test_scores_are_cosines() -> None:
    wanted = 30 * cosine_similarity(X[:, None], STATE["w"][None], dim=-1)
    torch.testing.assert_close(vectors.logits(own)(STATE, 1, X), wanted)
    torch.testing.assert_close(vectors.logits(own)(STATE, -1, X), -wanted)


def test_a_method_may_make_its_own_features() -> None:
    torch.testing.assert_close(vectors.logits(own, halved)(STATE, 1, X), 15 * X @ STATE["w"].T)


def test_class_vectors_are_made_once_for_all_pictures() -> None:
    made = []

    def counted(state: State, config: Any) -> Tensor:
        made.append(config)
        return own(state, config)

    score = vectors.scorer(counted)(STATE, 1)
    parts = [score(x) for x in X.split(2)]
    assert made == [1]
    torch.testing.assert_close(torch.cat(parts), vectors.logits(own)(STATE, 1, X))
