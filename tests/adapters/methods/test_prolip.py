"""ProLIP between zero-shot and its support: at its start, held fast, and let go."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Generator, Tensor
from torch.nn.functional import cross_entropy, normalize

import adapters
from adapters import compose
from adapters.episode import Episode, Query
from adapters.method import State
from adapters.methods.prolip import _batches
from featcache.errors import MethodError
from tests.adapters import synthetic
from tests.adapters.methods import settings

PROLIP, ZERO = compose.get("prolip"), compose.get("zero-shot")
EPISODE, TEST = synthetic.extended(*synthetic.episode(views=3))


def fit(episode: Episode = EPISODE, **settings: Any) -> tuple[State, Any]:
    config = PROLIP.config(**{"learning_rate": 0.01, **settings})
    return PROLIP.fit(episode, config, Generator().manual_seed(0)), config


def zero_shot(x: Tensor) -> Tensor:
    return ZERO.logits(ZERO.fit(EPISODE, ZERO.config(), Generator()), ZERO.config(), x)


def moved(state: State) -> float:
    assert EPISODE.projection is not None
    return float((state["weight"] - EPISODE.projection.weight).norm())


def test_settings() -> None:
    settings.check(
        "prolip",
        {
            "power": (1.0, "[0, inf)"),
            "weight": (1.0, "[0, inf)"),
            "steps": (300, "[0, inf)"),
            "learning_rate": (0.0001, "(0, inf)"),
            "eps": (0.0001, "(0, inf)"),
            "batch": (1024, "[0, inf)"),
        },
        {"paper": {"batch": 0}},
    )


def test_untrained_it_is_zero_shot() -> None:
    state, config = fit(steps=0)
    found = PROLIP.logits(state, config, TEST.query)
    torch.testing.assert_close(found, zero_shot(TEST.x), atol=1e-3, rtol=1e-4)


def test_the_regulariser_holds_it_and_at_last_holds_it_fast() -> None:
    distances = [moved(fit(weight=weight)[0]) for weight in (0.0, 1.0, 100.0, 1e8)]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 1e-3 * distances[0]
    state, config = fit(weight=1e8)
    found = PROLIP.logits(state, config, TEST.query)
    torch.testing.assert_close(found, zero_shot(TEST.x), atol=0.05, rtol=1e-3)


def test_training_lowers_the_loss_it_states() -> None:
    first = EPISODE.projection
    assert first is not None
    assert EPISODE.support.pre is not None
    centre, labels = EPISODE.support.pre[0], EPISODE.support.labels

    def loss(state: State, config: Any) -> float:
        f = normalize(centre @ state["weight"] + state["bias"], dim=-1)
        scores = EPISODE.logit_scale * f @ EPISODE.text.unit().T
        pull = (state["weight"] - first.weight).square().sum() / len(labels)
        return float(cross_entropy(scores, labels) + pull)

    assert loss(*fit()) < 0.5 * loss(*fit(steps=0))


def test_embeddings_are_not_looked_at() -> None:
    state, config = fit(steps=20)
    found = PROLIP.logits(state, config, TEST.query)
    blind = Query(torch.zeros_like(TEST.x), TEST.pre)
    assert torch.equal(PROLIP.logits(state, config, blind), found)
    noise = replace(EPISODE.support, views=torch.zeros_like(EPISODE.support.views))
    again, _ = fit(replace(EPISODE, support=noise), steps=20)
    assert torch.equal(again["weight"], state["weight"])


def test_nothing_is_fitted_in_a_space_it_does_not_reach() -> None:
    with pytest.raises(MethodError, match=r"needs pre-projection, .* sum:taskres\+prolip"):
        compose.get("prolip@taskres")
    assert adapters.get("fma@prolip").extras == {"pre-projection"}
    assert adapters.get("sum:gda+prolip").extras == {"pre-projection"}


def test_a_step_takes_all_pictures_or_so_many_by_chance() -> None:
    def rows(batch: int) -> list[list[int]]:
        config = PROLIP.config(steps=4, batch=batch)
        return [each.tolist() for each in _batches(40, config, Generator().manual_seed(0))]

    assert rows(0) == rows(40) == [[*range(40)]] * 4
    one, two, three, four = rows(20)
    assert sorted(one + two) == sorted(three + four) == [*range(40)]
    assert one != three
    state, _ = fit(batch=20)
    assert moved(state) > 0
