"""Tip-Adapter against its equation in NumPy, and against measured numbers on real features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Generator

from adapters import compose
from tests.adapters import synthetic, whurs19
from tests.adapters.methods import settings


def test_settings() -> None:
    settings.check("tip-adapter", settings.CACHE)


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def test_logits_are_the_equation() -> None:
    episode, test = synthetic.episode(views=3)
    m = compose.get("tip-adapter")
    config = m.config(alpha=3.0, beta=5.5)
    found = m.logits(m.fit(episode, config, Generator()), config, test.x).numpy()

    f = unit(test.x.numpy().astype(np.float64))
    X = unit(episode.support.views.numpy().astype(np.float64).mean(0))
    T = unit(unit(episode.text.prompts.numpy().astype(np.float64)).mean(1))
    Y = np.eye(episode.classes)[episode.support.labels.numpy()]
    wanted = 100 * f @ T.T + 3.0 * np.exp(-5.5 * (1 - f @ X.T)) @ Y
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-4)


def test_without_a_cache_it_is_zero_shot() -> None:
    episode, test = synthetic.episode()
    tip, zero = compose.get("tip-adapter"), compose.get("zero-shot")
    config = tip.config(alpha=0.0)
    found = tip.logits(tip.fit(episode, config, Generator()), config, test.x)
    wanted = zero.logits(zero.fit(episode, zero.config(), Generator()), zero.config(), test.x)
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize(
    ("shots", "wanted"), [(1, 87.84), (2, 90.56), (4, 91.89), (8, 93.44), (16, 94.56)]
)
def test_measured_tip_adapter(shared_data: Path, shots: int, wanted: float) -> None:
    assert whurs19.mean_accuracy(shared_data, "tip-adapter", shots) == pytest.approx(
        wanted, abs=0.1
    )
