"""TIMO against loops over classes, with ragged prompts."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from adapters import Episode
from adapters.methods import gda, timo
from tests.adapters.episodes import generator, make_episode, queries, unit
from tests.adapters.methods import settings


def by_hand(episode: Episode, config: timo.Config, f: Tensor) -> Tensor:
    """One class after the other, no masks."""
    views, labels = unit(episode.support.views), episode.support.labels
    samples, owners, texts = list(views.flatten(0, 1)), labels.repeat(len(views)).tolist(), []
    for c in range(episode.classes):
        prompts = unit(episode.text.prompts[c][episode.text.mask[c]])
        s = prompts @ unit(views[:, labels == c].flatten(0, 1).mean(0))
        texts.append(unit((config.gamma * s / s.norm()).softmax(0) @ prompts))
        best = s.argsort(descending=True).tolist() * 2
        for p in best[: max(round(config.share * len(s)), config.share > 0)]:
            samples.append(s[p] * prompts[p])
            owners.append(c)
    x, y = torch.stack(samples).double(), torch.tensor(owners)
    mu = torch.stack([x[y == c].mean(0) for c in range(episode.classes)])
    scatter = (x - mu[y]).T @ (x - mu[y])
    d = x.shape[1]
    p = d * torch.linalg.pinv(scatter + scatter.trace() / (len(x) - 1) * torch.eye(d))
    bias = -math.log(episode.classes) - (mu @ p * mu).sum(1) / 2
    return config.alpha * f @ torch.stack(texts).T + (f.double() @ p @ mu.T + bias).float()


def test_settings() -> None:
    settings.check(
        "timo",
        {
            "alpha": (100.0, "[0, inf)"),
            "gamma": (50.0, "[0, inf)"),
            "share": (1.0, "[0, 2]"),
            "search": (False, (False, True)),
        },
        {"s": {"search": True}},
    )


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 1.0, 1.5, 2.0])
def test_equals_the_loops(share: float) -> None:
    episode = make_episode((4, 2, 3, 5), views=2)
    config = timo.Config(share=share)
    state = timo.fit(episode, config, generator())
    torch.testing.assert_close(
        timo.logits(state, config, queries()),
        by_hand(episode, config, unit(queries())),
        rtol=1e-3,
        atol=1e-2,
    )


def test_without_prompts_or_attention_it_is_gda() -> None:
    episode = make_episode((3, 3, 3, 3), views=2)
    config = timo.Config(share=0, gamma=0, alpha=100)
    ours = timo.logits(timo.fit(episode, config, generator()), config, queries())
    plain = gda.Config(alpha=1)
    torch.testing.assert_close(
        ours, gda.logits(gda.fit(episode, plain, generator()), plain, queries())
    )
