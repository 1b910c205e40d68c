"""TransCLIP: one round against sums written out, and what the equations imply."""

from __future__ import annotations

import torch

from adapters.methods import transclip
from tests.adapters.episodes import generator, make_episode, queries, unit
from tests.adapters.methods import settings


def test_settings() -> None:
    settings.check(
        "transclip",
        {
            "support_weight": (0.02, "[0, inf)"),
            "text_weight": (0.5, "[0, inf)"),
            "neighbours": (3, "[0, inf)"),
            "rounds": (10, "[1, inf)"),
            "steps": (5, "[1, inf)"),
            "confident": (8, "[1, inf)"),
        },
    )


def test_one_round_equals_the_sums() -> None:
    episode = make_episode((4, 2, 3, 5))
    config = transclip.Config(rounds=1, steps=2, support_weight=0.2)
    state = transclip.fit(episode, config, generator())
    f, keys, labels = unit(queries()), episode.support.keys(), episode.support.labels
    mu = torch.stack([keys[labels == c].mean(0) for c in range(4)])
    y = (100 * f @ episode.text.unit().T).softmax(1)
    likelihood = -16 / 2 * (f[:, None] - mu).square().sum(-1)  # variance 1 / d
    cosine = (f @ f.T).fill_diagonal_(-1)
    z = y
    for _ in range(2):
        pull = torch.zeros_like(z)
        for i in range(len(f)):
            for j in cosine[i].topk(3).indices:
                pull[i] += cosine[i, j] * z[j]
        z = (likelihood + pull).exp() * y**0.5
        z = z / z.sum(1, keepdim=True)
    torch.testing.assert_close(
        transclip.logits(state, config, queries()).exp(), z, rtol=1e-3, atol=1e-5
    )


def test_moments_equal_the_weighted_sums() -> None:
    episode = make_episode((4, 2, 3, 5))
    config = transclip.Config(support_weight=0.2)
    state = transclip.fit(episode, config, generator())
    f, keys = unit(queries()), episode.support.keys()
    z = torch.randn(7, 4, generator=generator()).softmax(1)
    x = torch.cat([f, keys])
    weight = torch.cat([z / 7, 0.2 * torch.eye(4)[episode.support.labels] / 14])  # [21, c]
    mu = weight.T @ x / weight.sum(0)[:, None]
    variance = (weight[..., None] * (x[:, None] - mu).square()).sum((0, 1)) / 1.2
    means, ours = transclip._moments(state, config, f, z)
    torch.testing.assert_close(means, mu)
    torch.testing.assert_close(ours, variance)


def test_each_query_is_answered_with_the_others() -> None:
    episode = make_episode()
    state = transclip.fit(episode, transclip.Config(), generator())
    together = transclip.logits(state, transclip.Config(), queries(20))
    alone = transclip.logits(state, transclip.Config(), queries(20)[:1])
    assert transclip.method.transductive
    assert alone.isfinite().all()
    assert not torch.allclose(together[:1], alone)
