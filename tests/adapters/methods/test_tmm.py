"""TMM-R is CoOp where pictures say nothing, and looks at pictures of the class alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn.functional import normalize

from adapters import compose
from adapters.methods import _prompts as prompts
from adapters.methods import tmm
from tests.adapters import synthetic
from tests.adapters.methods import settings

EPISODE, _ = synthetic.extended(*synthetic.episode(4, views=2))
TMM = compose.get("tmm")


def learned(**overrides: Any) -> dict[str, Tensor]:
    return TMM.fit(EPISODE, TMM.config(**overrides), Generator().manual_seed(0))


def test_settings() -> None:
    settings.check(
        "tmm",
        {
            **settings.PROMPTS,
            "sharpness": (10.0, "[0, inf)"),
            "reduction": (16, "[1, inf)"),
        },
    )


def test_what_is_seen_is_attention_over_pictures_of_the_class() -> None:
    found = tmm.pictured(EPISODE, TMM.config(sharpness=3.0))
    keys, text = EPISODE.support.keys(), EPISODE.text.unit()
    for c in range(EPISODE.classes):
        own = keys[EPISODE.support.labels == c]
        torch.testing.assert_close(found[c], (3 * own @ text[c]).softmax(0) @ own)
    fewer = replace(EPISODE, support=EPISODE.support.of(range(3)))
    assert not tmm.pictured(fewer, TMM.config())[3:].any()


def test_each_class_is_read_with_the_context_that_its_pictures_move() -> None:
    state, config = learned(steps=4, learning_rate=0.02), TMM.config()
    for c in range(EPISODE.classes):
        hidden = (state["net.0.weight"] @ state["pictured"][c] + state["net.0.bias"]).relu()
        moved = state["net.1.weight"] @ hidden + state["net.1.bias"]
        assert moved.norm() > 1e-3
        v = {"contexts": state["contexts"] + moved}
        wanted = prompts.class_vectors_of(v, config, EPISODE.text)[c]
        torch.testing.assert_close(state["text"][c], wanted, atol=1e-5, rtol=1e-4)
    alone = tmm.with_text(state, config, EPISODE.text.of(range(2)))
    wanted = prompts.class_vectors_of({"contexts": state["contexts"]}, config, EPISODE.text)
    torch.testing.assert_close(alone["text"], wanted[:2], atol=1e-5, rtol=1e-4)
    assert (normalize(alone["text"]) - state["text"][:2]).norm() > 1e-3


def test_parts_that_memory_has_room_for_learn_the_same() -> None:
    whole, parts = (learned(steps=3, room=room)["text"] for room in (3.0, 1e-9))
    torch.testing.assert_close(parts, whole, atol=1e-4, rtol=1e-3)
