"""Text-LoRA starts as the words say; its changes are those of the weights they stand for."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from adapters import compose
from adapters.configure import configure
from adapters.methods import _prompts as prompts
from adapters.methods import text_lora
from tests.adapters import synthetic
from tests.adapters.methods import settings

EPISODE, TEST = synthetic.extended(*synthetic.episode())
LORA = compose.get("text-lora")


def learned(**overrides: Any) -> dict[str, Tensor]:
    return LORA.fit(EPISODE, LORA.config(**overrides), Generator().manual_seed(0))


def test_settings() -> None:
    settings.check(
        "text-lora",
        {
            **settings.PROMPTS,
            "rank": (2, "[1, inf)"),
            "alpha": (1.0, "(0, inf)"),
            "dropout": (0.0, "[0, 1)"),
            "steps_a_shot": (0, "[0, inf)"),
        },
        {
            "paper": {
                "steps_a_shot": 500,
                "batch": 32,
                "learning_rate": 2e-4,
                "weight_decay": 0.01,
                "dropout": 0.25,
                "centre": False,
            }
        },
    )


@pytest.mark.parametrize("words", ["a photo of a", ""])
def test_without_a_step_it_is_the_words(words: str) -> None:
    start = learned(steps=0, epochs=1, warm_up=0.0, words=words, weight_decay=0.0)
    assert not start["up"].any()
    vectors = start["contexts"]
    wanted = prompts.class_vectors_of({"contexts": vectors}, LORA.config(), EPISODE.text)
    torch.testing.assert_close(start["text"], wanted)
    assert len(vectors) == (4 if words else 0)


def test_the_changes_are_those_of_the_weights() -> None:
    state = learned(steps=8, learning_rate=0.02, rank=3, alpha=2.0)
    tower = prompts.tower_of(EPISODE.text)
    weights = dict(tower.weights)
    for i in range(tower.layers):
        down = state["down"][i].view(3, 3, tower.width)
        more = torch.cat([up @ low for up, low in zip(state["up"][i], down, strict=True)])
        name = f"blocks.{i}.attn.in_proj_weight"
        assert more.norm() > 1e-3
        weights[name] = weights[name] + 2 / math.sqrt(3) * more
    changed = replace(tower, weights=weights)
    config = LORA.config()
    those = prompts.sentences_of(changed, EPISODE.text, config, len(state["contexts"]))
    wanted = prompts.encoded(those, state["contexts"])
    torch.testing.assert_close(state["text"], wanted, atol=1e-5, rtol=1e-4)


def test_what_is_dropped_is_dropped_in_training_alone_and_by_its_own_chance() -> None:
    some = [learned(steps=3, learning_rate=0.02, dropout=d)["text"] for d in (0.0, 0.5)]
    assert (some[0] - some[1]).norm() > 1e-4
    tower, config = prompts.tower_of(EPISODE.text), LORA.config()
    p = text_lora.unchanged(tower, config, Generator().manual_seed(0))
    p["up"] = torch.ones_like(p["up"])
    x = torch.randn(3, tower.width, generator=Generator().manual_seed(0))
    kept = (torch.arange(tower.width) % 2 == 0) * 2.0
    found = text_lora.beside({**p, "kept": kept.expand(tower.layers, -1)}, 1.0)(1, x)
    torch.testing.assert_close(found, text_lora.beside(p, 1.0)(1, x * kept))


def test_published_steps_count_by_shots() -> None:
    config, _ = configure("text-lora", LORA, {"preset": "paper"})
    assert config.steps_a_shot == 500
    few = replace(EPISODE, shots=2)
    short = replace(config, steps_a_shot=3)
    assert torch.equal(
        LORA.fit(few, short, Generator().manual_seed(0))["down"],
        LORA.fit(few, replace(config, steps_a_shot=0, steps=6), Generator().manual_seed(0))["down"],
    )
