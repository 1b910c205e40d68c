"""ZS-LP: zero-shot untrained, and its training written out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn.functional import cross_entropy, normalize

from adapters import compose
from tests.adapters import synthetic
from tests.adapters.methods import settings

EPISODE, TEST = synthetic.episode()
ZERO = compose.get("zero-shot")
PROBE = compose.get("zs-lp")


def scores(**overrides: Any) -> Tensor:
    config = PROBE.config(**overrides)
    state = PROBE.fit(EPISODE, config, Generator().manual_seed(0))
    return PROBE.logits(state, config, TEST.x)


def zero_shot() -> Tensor:
    return ZERO.logits(ZERO.fit(EPISODE, ZERO.config(), Generator()), ZERO.config(), TEST.x)


def test_settings() -> None:
    settings.check(
        "zs-lp",
        {
            **settings.HEAD,
            "learning_rate": (0.1, "(0, inf)"),
            "momentum": (0.9, "[0, 1)"),
            "epochs": (300, "[0, inf)"),
            "most_steps": (5000, "[0, inf)"),
        },
        {"paper": {"most_steps": 0}},
    )


def test_untrained_it_is_zero_shot() -> None:
    torch.testing.assert_close(scores(epochs=0), zero_shot(), atol=1e-3, rtol=1e-4)


def test_a_longer_text_is_turned_less() -> None:
    moved = [(scores(text_norm=r, epochs=50) - zero_shot()).norm() for r in (1.0, 10.0, 100.0)]
    assert moved[0] > moved[1] > moved[2]


def test_three_epochs_are_three_steps_of_sgd() -> None:
    """All 40 pictures are one batch: at 1e-5, then at the whole rate, then at 3/4 of it."""
    f, labels = normalize(EPISODE.support.x, dim=-1), EPISODE.support.labels
    w = (10 * EPISODE.text.unit()).requires_grad_()
    sgd = torch.optim.SGD([w], lr=1, momentum=0.6)
    for rate in (1e-5, 0.2, 0.15):
        sgd.param_groups[0]["lr"] = rate
        sgd.zero_grad()
        cross_entropy(100 * f @ (w / w.norm(dim=1, keepdim=True)).T, labels).backward()
        sgd.step()
    config = PROBE.config(epochs=3, learning_rate=0.2, momentum=0.6)
    state = PROBE.fit(EPISODE, config, Generator())
    torch.testing.assert_close(state["weights"], w.detach(), atol=1e-4, rtol=1e-4)
    assert PROBE.space(config).fit == PROBE.space(config).logits == {}


def test_from_one_side_of_the_text_it_learns_the_support() -> None:
    config = PROBE.config()
    state = PROBE.fit(EPISODE, config, Generator().manual_seed(0))
    found = PROBE.logits(state, config, EPISODE.support.x).argmax(1)
    assert torch.equal(found, EPISODE.support.labels)
