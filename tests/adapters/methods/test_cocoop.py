"""CoCoOp is CoOp where its net says nothing, and reads each picture's own sentences."""

from __future__ import annotations

import torch
from torch import Generator
from torch.nn.functional import normalize

from adapters import compose
from adapters.configure import configure
from adapters.maths import training
from adapters.methods import _prompts as prompts
from adapters.methods import cocoop
from tests.adapters import synthetic
from tests.adapters.methods import settings

EPISODE, TEST = synthetic.extended(*synthetic.episode())
COCOOP = compose.get("cocoop")
CONFIG = COCOOP.config(steps=4, learning_rate=0.02, silent=False)
STATE = COCOOP.fit(EPISODE, CONFIG, Generator().manual_seed(0))
ONE = {"net.1.weight", "net.1.bias"}


def test_settings() -> None:
    settings.check(
        "cocoop",
        {
            **settings.PROMPTS,
            "steps": (200, "[0, inf)"),
            "learning_rate": (5e-3, "(0, inf)"),
            "batch": (8, "[0, inf)"),
            "centre": (False, (True, False)),
            "silent": (True, (True, False)),
        },
        {"paper": {**settings.COOP_CODE, "epochs": 10, "batch": 1, "silent": False}},
    )


def test_where_the_net_says_nothing_it_is_coop() -> None:
    silent = {name: torch.zeros_like(v) if name in ONE else v for name, v in STATE.items()}
    text = prompts.class_vectors_of(silent, CONFIG, EPISODE.text)
    wanted = 100 * normalize(TEST.x, dim=-1) @ text.T
    torch.testing.assert_close(COCOOP.logits(silent, CONFIG, TEST.x), wanted, atol=1e-3, rtol=1e-4)


def test_each_picture_is_read_with_its_own_context() -> None:
    few = TEST.x[:3]
    found = cocoop.class_vectors_by(STATE, CONFIG, few)
    for f, g in zip(normalize(few, dim=-1), found, strict=True):
        hidden = (STATE["net.0.weight"] @ f + STATE["net.0.bias"]).relu()
        moved = STATE["contexts"] + STATE["net.1.weight"] @ hidden + STATE["net.1.bias"]
        wanted = prompts.class_vectors_of({"contexts": moved}, CONFIG, EPISODE.text)
        torch.testing.assert_close(g, wanted, atol=1e-4, rtol=1e-4)
    logits = torch.stack([100 * g @ f for f, g in zip(normalize(few, dim=-1), found, strict=True)])
    torch.testing.assert_close(COCOOP.logits(STATE, CONFIG, few), logits, atol=1e-3, rtol=1e-4)


def test_what_it_costs_is_said_before_it_starts() -> None:
    said: list[str] = []

    def watch(done: int, total: int) -> None:
        assert said

    classes = len(EPISODE.text.classnames)
    with training.watched(watch, said.append):
        COCOOP.fit(EPISODE, CONFIG, Generator())
    assert said == [
        f"cocoop reads {4 * 8 * classes} sentences to train, and {classes} more for each picture "
        "that it is asked about."
    ]


def test_published_steps_take_single_pictures() -> None:
    config, _ = configure("cocoop", COCOOP, {"preset": "paper"})
    assert len(prompts.schedule(EPISODE, config)) == 10 * len(EPISODE.support.labels)
