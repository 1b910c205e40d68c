"""CLIP-Adapter against its equation in NumPy, and where it is zero-shot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Generator

from adapters import compose
from tests.adapters import synthetic, whurs19
from tests.adapters.methods import settings

CLIP, ZERO = compose.get("clip-adapter"), compose.get("zero-shot")


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def test_settings() -> None:
    settings.check(
        "clip-adapter",
        {
            "ratio": (0.6, "[0, 1]"),
            "side": ("visual", ("visual", "text", "both")),
            "hidden": (0, "[0, inf)"),
            "batch": (72, "[1, inf)"),
            "steps": (240, "[0, inf)"),
            "learning_rate": (0.0013, "(0, inf)"),
            "weight_decay": (0.01, "[0, inf)"),
        },
    )


@pytest.mark.parametrize("side", ["visual", "text", "both"])
def test_logits_are_the_equation(side: str) -> None:
    episode, test = synthetic.episode(views=3)
    config = CLIP.config(side=side, ratio=0.3, steps=20)
    state = CLIP.fit(episode, config, Generator().manual_seed(0))

    def adapted(of: str, x: np.ndarray) -> np.ndarray:
        if side not in (of, "both"):
            return unit(x)
        down, up = (state[f"{of}.{name}"].double().numpy() for name in ("down", "up"))
        made = np.maximum(np.maximum(x @ down.T, 0) @ up.T, 0)
        return unit(0.3 * made + 0.7 * x)

    f, text = test.x.double().numpy(), episode.text.unit().double().numpy()
    wanted = 100 * adapted("visual", f) @ adapted("text", text).T
    found = CLIP.logits(state, config, test.x)
    np.testing.assert_allclose(found, wanted, atol=1e-3)


@pytest.mark.parametrize("side", ["visual", "text", "both"])
def test_ratio_zero_is_zero_shot(side: str) -> None:
    episode, test = synthetic.episode()
    config = CLIP.config(side=side, ratio=0.0, steps=20)
    found = CLIP.logits(CLIP.fit(episode, config, Generator()), config, test.x)
    wanted = ZERO.logits(ZERO.fit(episode, ZERO.config(), Generator()), ZERO.config(), test.x)
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-5)


def test_the_same_text_again_changes_nothing() -> None:
    episode, test = synthetic.episode()
    config = CLIP.config(side="both", steps=20)
    state = CLIP.fit(episode, config, Generator().manual_seed(0))
    assert CLIP.with_text is not None
    again = CLIP.with_text(state, config, episode.text)
    assert torch.equal(CLIP.logits(again, config, test.x), CLIP.logits(state, config, test.x))


@pytest.mark.slow
@pytest.mark.parametrize(("shots", "least"), [(1, 87.2), (4, 93.0), (16, 96.9)])
def test_measured(shared_data: Path, shots: int, least: float) -> None:
    assert whurs19.mean_accuracy(shared_data, "clip-adapter", shots) >= least
