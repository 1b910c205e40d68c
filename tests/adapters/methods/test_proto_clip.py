"""Proto-CLIP against its equation in NumPy; the trained version starts from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Generator

from adapters import compose
from tests.adapters import synthetic, whurs19

PROTO, F = compose.get("proto-clip"), compose.get("proto-clip-f")


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


def test_the_search_is_the_released_one() -> None:
    axes = PROTO.space(PROTO.config()).logits
    assert axes["share"] == tuple(i / 10 for i in range(11))
    assert axes["sharpness"] == (*(i / 10 for i in range(1, 10)), *range(1, 21))


def test_f_without_training_is_proto_clip() -> None:
    episode, test = synthetic.episode(views=3)
    f, proto = F.config(adapter="none", steps=0), PROTO.config()
    found = F.logits(F.fit(episode, f, Generator()), f, test.x)
    wanted = PROTO.logits(PROTO.fit(episode, proto, Generator()), proto, test.x)
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("adapter", ["fc", "none"])
@pytest.mark.parametrize("shots", [1, 2, 8])
def test_f_learns_the_support(adapter: str, shots: int) -> None:
    episode, test = synthetic.episode(shots, views=3)
    config = F.config(adapter=adapter, steps=100)
    state = F.fit(episode, config, Generator().manual_seed(0))
    right = F.logits(state, config, episode.support.x).argmax(1) == episode.support.labels
    assert right.all()
    assert F.logits(state, config, test.x).isfinite().all()


def test_measured(shared_data: Path) -> None:
    """Not below the class means of images, nor below zero-shot."""
    for shots, least in ((1, 81.1), (16, 95.0)):
        assert whurs19.mean_accuracy(shared_data, "proto-clip", shots) >= least
