"""TaskRes: the text stays, a scaled residual is trained by Adam."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Generator, Tensor
from torch.nn.functional import cross_entropy, normalize

from adapters import compose
from tests.adapters import synthetic
from tests.adapters.methods import settings

EPISODE, TEST = synthetic.episode()
ZERO = compose.get("zero-shot")
TASKRES = compose.get("taskres")


def scores(**overrides: Any) -> Tensor:
    config = TASKRES.config(**overrides)
    state = TASKRES.fit(EPISODE, config, Generator().manual_seed(0))
    return TASKRES.logits(state, config, TEST.x)


def zero_shot() -> Tensor:
    return ZERO.logits(ZERO.fit(EPISODE, ZERO.config(), Generator()), ZERO.config(), TEST.x)


def test_settings() -> None:
    settings.check(
        "taskres",
        {
            **settings.HEAD,
            "alpha": (0.5, "[0, inf)"),
            "learning_rate": (0.002, "(0, inf)"),
            "epochs": (0, "[0, inf)"),
            "most_steps": (2500, "[0, inf)"),
        },
        {"paper": {"most_steps": 0}},
    )


def test_without_its_residual_it_is_zero_shot() -> None:
    torch.testing.assert_close(scores(alpha=0.0, epochs=5), zero_shot(), atol=1e-3, rtol=1e-4)


def test_three_epochs_are_three_steps_of_adam_on_the_residual() -> None:
    f, labels = normalize(EPISODE.support.x, dim=-1), EPISODE.support.labels
    text, x = 10 * EPISODE.text.unit(), torch.zeros(5, 16, requires_grad=True)
    adam = torch.optim.Adam([x], lr=1)
    for rate in (1e-5, 0.02, 0.015):
        adam.param_groups[0]["lr"] = rate
        adam.zero_grad()
        w = normalize(text + 0.7 * x, dim=1)
        cross_entropy(100 * f @ w.T, labels).backward()
        adam.step()
    config = TASKRES.config(epochs=3, learning_rate=0.02, alpha=0.7)
    state = TASKRES.fit(EPISODE, config, Generator())
    wanted = text + 0.7 * x.detach()
    torch.testing.assert_close(state["weights"], wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("shots", "epochs"), [(1, 100), (4, 100), (5, 200), (8, 200)])
def test_above_four_shots_it_trains_twice_as_long(shots: int, epochs: int) -> None:
    episode, _ = synthetic.episode(shots)  # all pictures are one batch
    assert TASKRES.prepare is not None
    found = TASKRES.prepare(episode, TASKRES.config(), Generator())
    assert found is not None
    assert len(found.schedule) == epochs
    short = TASKRES.prepare(episode, TASKRES.config(epochs=7), Generator())
    assert short is not None
    assert len(short.schedule) == 7


def test_the_search_is_over_the_two_published_scales() -> None:
    found = TASKRES.space(TASKRES.config())
    assert (found.fit, found.logits) == ({"alpha": (0.5, 1.0)}, {})
    assert TASKRES.criterion == "cross-entropy"
