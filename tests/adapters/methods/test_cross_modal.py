"""Cross-modal: what its batches hold, where it starts, and the averaged head."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Generator
from torch.nn.functional import normalize

from adapters import compose
from adapters.methods.cross_modal import Config, _batches, method
from tests.adapters import synthetic
from tests.adapters.methods import settings

EPISODE, TEST = synthetic.episode()


def test_settings() -> None:
    settings.check(
        "cross-modal",
        {
            "share": (0.0, "[0, 1]"),
            "learning_rate": (0.001, "(0, inf)"),
            "steps": (400, "[0, inf)"),
            "horizon": (12800, "[1, inf)"),
            "warm_steps": (50, "[0, inf)"),
            "warm_up": (1e-05, "[0, inf)"),
            "weight_decay": (0.01, "[0, inf)"),
            "batch": (32, "[2, inf)"),
        },
    )


def test_half_of_a_batch_are_prompts_of_the_classes_they_are_labelled_with() -> None:
    mask = EPISODE.text.mask.clone()
    mask[1, 0] = mask[2, 1:] = False
    text = replace(EPISODE.text, mask=mask)
    unit = normalize(text.prompts, dim=-1)
    config = Config(steps=5, batch=8)
    batches = list(_batches(replace(EPISODE, text=text), config, Generator().manual_seed(0)))
    assert len(batches) == 5
    for f, rows in batches:
        for prompt, label in zip(f[4:], EPISODE.support.labels[rows[4:]], strict=True):
            own = unit[label][mask[label]]
            assert (own - prompt).abs().amax(1).min() < 1e-6


def test_untrained_or_all_text_it_is_zero_shot() -> None:
    zero = compose.get("zero-shot")
    expected = zero.logits(zero.fit(EPISODE, zero.config(), Generator()), zero.config(), TEST.x)
    for config in (Config(steps=0), Config(steps=5, share=1.0)):
        state = method.fit(EPISODE, config, Generator().manual_seed(0))
        torch.testing.assert_close(method.logits(state, config, TEST.x), expected)
