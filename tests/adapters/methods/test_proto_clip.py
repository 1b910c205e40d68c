"""Proto-CLIP against its equation in NumPy, and against measured numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from torch import Generator

from adapters import compose
from tests.adapters import synthetic, whurs19
from tests.adapters.methods import settings

PROTO = compose.get("proto-clip")


def test_settings() -> None:
    settings.check(
        "proto-clip",
        {
            "share": (0.5, "[0, 1]"),
            "sharpness": (20.0, "(0, inf)"),
        },
    )


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_logits_are_the_log_of_the_equation(share: float) -> None:
    episode, test = synthetic.episode(views=3)
    config = PROTO.config(share=share, sharpness=7.0)
    found = PROTO.logits(PROTO.fit(episode, config, Generator()), config, test.x)

    q, keys = (unit(x.double().numpy()) for x in (test.x, episode.support.views.mean(0)))
    labels, text = episode.support.labels.numpy(), episode.text.unit().double().numpy()
    means = unit(np.stack([keys[labels == c].mean(0) for c in range(episode.classes)]))

    def near(prototypes: np.ndarray) -> np.ndarray:
        e = np.exp(-7.0 * ((q[:, None] - prototypes) ** 2).sum(-1))
        return e / e.sum(1, keepdims=True)

    wanted = share * near(means) + (1 - share) * near(text)
    np.testing.assert_allclose(found.exp(), wanted, atol=1e-5)


def test_measured(shared_data: Path) -> None:
    """Not below the class means of images, nor below zero-shot."""
    for shots, least in ((1, 81.1), (16, 95.0)):
        assert whurs19.mean_accuracy(shared_data, "proto-clip", shots) >= least
