"""KgCoOp is CoOp at no weight, and stays nearer to the hand-made prompts the larger it is."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor

from adapters import compose
from tests.adapters import synthetic
from tests.adapters.methods import settings

EPISODE, _ = synthetic.extended(*synthetic.episode())
KGCOOP, COOP = compose.get("kgcoop"), compose.get("coop")


def learned(**overrides: Any) -> dict[str, Tensor]:
    return KGCOOP.fit(EPISODE, KGCOOP.config(**overrides), Generator().manual_seed(0))


def test_settings() -> None:
    settings.check(
        "kgcoop",
        {
            **settings.PROMPTS,
            "steps": (200, "[0, inf)"),
            "learning_rate": (5e-3, "(0, inf)"),
            "weight": (8.0, "[0, inf)"),
        },
        {
            "paper": {**settings.COOP_CODE, "epochs": 100, "batch": 128},
            "paper-few-shot": {**settings.COOP_CODE, "epochs": 100},
        },
    )


def test_without_its_term_it_is_coop() -> None:
    coop = COOP.fit(EPISODE, COOP.config(steps=20), Generator().manual_seed(0))
    found = learned(steps=20, learning_rate=2e-3, weight=0.0)
    assert all(torch.equal(found[name], each) for name, each in coop.items())


def test_a_larger_weight_leaves_it_nearer_to_the_texts() -> None:
    text = EPISODE.text.unit()
    near = [
        (learned(weight=w, steps=60, learning_rate=0.02)["text"] * text).sum(1).mean()
        for w in (0.0, 8.0, 1000.0)
    ]
    assert near[0] < near[1] < near[2]
