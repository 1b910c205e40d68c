"""TCP's tokens are of each class's text, stand deep in the tower, and hold its classes near it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from adapters import compose
from adapters.configure import configure
from adapters.methods import _prompts as prompts
from adapters.methods import tcp
from featcache.errors import MethodError
from tests.adapters import synthetic
from tests.adapters.methods import settings

EPISODE, _ = synthetic.extended(*synthetic.episode())
TCP = compose.get("tcp")


def learned(**overrides: Any) -> dict[str, Tensor]:
    return TCP.fit(EPISODE, TCP.config(**overrides), Generator().manual_seed(0))


def test_settings() -> None:
    settings.check(
        "tcp",
        {
            **settings.PROMPTS,
            "position": ("end", ("end",)),
            "weight": (8.0, "[0, inf)"),
            "block": (0, "[0, inf)"),
        },
        {
            "paper": {
                **{**settings.COOP_CODE, "optimiser": "adamw"},
                "words": "",
                "context": 4,
                "epochs": 50,
            }
        },
    )


def test_classes_with_the_same_text_and_name_are_the_same_and_others_move_alone() -> None:
    state, config = learned(steps=2), TCP.config()
    text = EPISODE.text.unit()
    tower = prompts.tower_of(EPISODE.text)
    those = prompts.sentences_of(tower, EPISODE.text, config, len(state["contexts"]))
    speak = tcp.speaker(config)
    torch.testing.assert_close(speak(those, state, text), state["text"], atol=1e-5, rtol=1e-5)
    moved = speak(those, state, torch.cat([text[:1].neg(), text[1:]]))
    assert (moved[0] - state["text"][0]).norm() > 1e-3
    torch.testing.assert_close(moved[1:], state["text"][1:], atol=1e-5, rtol=1e-5)


def test_the_tokens_are_two_layers_of_the_text() -> None:
    state = learned(steps=1)
    one = tcp.tokens(state, EPISODE.text.unit())
    assert one.shape == (synthetic.CLASSES, *state["contexts"].shape)
    inner = state["net.0.weight"] @ EPISODE.text.unit()[0] + state["net.0.bias"]
    inner = inner * torch.sigmoid(1.702 * inner)
    wanted = state["net.1.weight"] @ inner + state["net.1.bias"]
    torch.testing.assert_close(one[0].flatten(), wanted, atol=1e-5, rtol=1e-5)


def test_a_larger_weight_leaves_it_nearer_to_the_texts() -> None:
    text = EPISODE.text.unit()
    near = [
        (learned(weight=w, steps=40, learning_rate=0.02)["text"] * text).sum(1).mean()
        for w in (0.0, 1000.0)
    ]
    assert near[0] < near[1]


def test_the_published_block_is_two_thirds_up_and_none_above_the_tower_is_taken() -> None:
    tower = prompts.tower_of(EPISODE.text)
    assert tcp.block_of(tcp.Config(), tower) == 1
    high = replace(tower, layers=12)
    assert tcp.block_of(tcp.Config(), high) == 8
    assert tcp.block_of(tcp.Config(block=11), high) == 11
    with pytest.raises(MethodError, match="has 2 blocks"):
        learned(block=2)


def test_published_steps_are_those_of_fifty_epochs() -> None:
    config, _ = configure("tcp", TCP, {"preset": "paper"})
    batches = len(EPISODE.support.labels) // 32
    assert len(prompts.schedule(EPISODE, config)) == 50 * batches
