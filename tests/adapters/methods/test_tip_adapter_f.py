"""Tip-Adapter-F: untrained it is Tip-Adapter, and the training of its keys written out."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Generator
from torch.nn.functional import cross_entropy, normalize, one_hot

from adapters import compose
from tests.adapters import synthetic, whurs19
from tests.adapters.methods import settings


def test_settings() -> None:
    settings.check(
        "tip-adapter-f",
        {
            **settings.CACHE,
            "training_alpha": (2.0, "[0, inf)"),
            "training_beta": (1.0, "[0, inf)"),
            "learning_rate": (0.001, "(0, inf)"),
            "weight_decay": (0.01, "[0, inf)"),
            "eps": (0.0001, "(0, inf)"),
            "epochs": (20, "[0, inf)"),
            "batch": (256, "[1, inf)"),
            "most_steps": (320, "[0, inf)"),
        },
        {"paper": {"most_steps": 0}},
    )


@pytest.mark.parametrize("views", [1, 3])
def test_f_without_training_is_tip_adapter_and_training_moves_the_keys_alone(views: int) -> None:
    episode, _ = synthetic.episode(views=views)
    tip, f = compose.get("tip-adapter"), compose.get("tip-adapter-f")
    start = tip.fit(episode, tip.config(), Generator())
    untrained = f.fit(episode, f.config(epochs=0), Generator())
    trained = f.fit(episode, f.config(), Generator().manual_seed(0))
    assert untrained.keys() == trained.keys() == start.keys()
    for key, value in start.items():
        assert torch.equal(untrained[key], value)
        assert torch.equal(trained[key], value) == (key != "keys")


def test_two_epochs_in_batches_are_steps_of_adamw() -> None:
    """40 pictures in batches of 16 are 3 steps an epoch, under one cosine over all six."""
    episode, _ = synthetic.episode()
    f, labels = normalize(episode.support.x, dim=-1), episode.support.labels
    keys, text = episode.support.keys().requires_grad_(), episode.text.unit()
    g = Generator().manual_seed(0)
    batches = [rows for _ in range(2) for rows in torch.randperm(40, generator=g).split(16)]
    adam = torch.optim.AdamW([keys], lr=1, eps=1e-3, weight_decay=0.3)
    for i, rows in enumerate(batches):
        near = (-2.0 * (1 - f[rows] @ keys.T)).exp()
        logits = 100 * f[rows] @ text.T + 1.5 * near @ one_hot(labels, 5).float()
        adam.param_groups[0]["lr"] = 0.05 * (1 + torch.tensor(i * torch.pi / 6).cos().item()) / 2
        adam.zero_grad()
        cross_entropy(logits, labels[rows]).backward()
        adam.step()
    m = compose.get("tip-adapter-f")
    config = m.config(
        **{"training_alpha": 1.5, "training_beta": 2.0, "epochs": 2, "batch": 16},
        **{"learning_rate": 0.05, "eps": 1e-3, "weight_decay": 0.3, "alpha": 9.0, "beta": 9.0},
    )
    state = m.fit(episode, config, Generator().manual_seed(0))
    torch.testing.assert_close(state["keys"], keys.detach(), atol=1e-4, rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("shots", "least"), [(4, 92.1), (16, 95.9)])
def test_measured_tip_adapter_f(shared_data: Path, shots: int, least: float) -> None:
    assert whurs19.mean_accuracy(shared_data, "tip-adapter-f", shots) >= least
