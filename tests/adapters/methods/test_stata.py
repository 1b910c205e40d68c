"""StatA against its equations written out, class by class."""

from __future__ import annotations

import torch

from adapters.methods import stata
from tests.adapters.episodes import generator, make_episode, queries, unit
from tests.adapters.methods import settings


def test_settings() -> None:
    settings.check(
        "stata",
        {
            "neighbours": (3, "[0, inf)"),
            "rounds": (10, "[1, inf)"),
            "steps": (5, "[1, inf)"),
        },
    )


def test_equals_its_equations() -> None:
    episode, x = make_episode(), queries(12)
    config = stata.Config(rounds=3, steps=2)
    found = stata.logits(stata.fit(episode, config, generator()), config, x)
    f, t = unit(x).double(), episode.text.unit().double()
    n, c = len(f), len(t)
    cosine = (f @ f.T).fill_diagonal_(-2)
    w = torch.zeros(n, n).double()
    for i in range(n):
        for j in cosine[i].topk(3).indices:
            w[i, j] = cosine[i, j]
    y = (100 * f @ t.T).softmax(1)
    z, mu = y, t.clone()
    v0 = sum(z[i, k] * (f[i] - t[k]) ** 2 for i in range(n) for k in range(c)) / n
    v = v0.expand(c, -1).clone()
    for _ in range(3):
        for _ in range(2):
            pull = (w + w.T) @ z / 6
            far = torch.stack([((f - mu[k]) ** 2 / v[k] + v[k].log()).sum(1) for k in range(c)], 1)
            score = y.log() - far / 100 + pull
            z = score.softmax(1)
        counts = torch.bincount(z.argmax(1), minlength=c)
        for k in range(c):
            b = counts[k] / (counts[k] + 1)
            mu[k] = unit((b * unit((z[:, k, None] * f).sum(0)) + (1 - b) * t[k])[None])[0]
            var = (z[:, k, None] * (f - mu[k]) ** 2).sum(0) / z[:, k].sum()
            v[k] = b * var + (1 - b) * (v0 + (t[k] - mu[k]) ** 2)
    torch.testing.assert_close(found.double().exp(), score.softmax(1), atol=2e-3, rtol=1e-2)


def test_one_query_is_answered() -> None:
    config = stata.Config()
    state = stata.fit(make_episode(), config, generator())
    assert stata.logits(state, config, queries(1)).isfinite().all()
