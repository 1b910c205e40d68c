"""SS-Text: the weights as written in the paper, and as a minimum."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from adapters.methods import ss_text
from tests.adapters.episodes import generator, make_episode, queries, unit
from tests.adapters.methods import settings

COUNTS = (4, 2, 3, 5)


def test_settings() -> None:
    settings.check(
        "ss-text",
        {
            "variant": ("text", ("text", "text+")),
            "factor": (1.0, "(0, inf)"),
            "least": (0.001, "(0, inf)"),
            "embeddings": ("unit", ("unit", "raw")),
            "search": (False, (False, True)),
        },
        {"plus": {"variant": "text+"}, "searched": {"search": True}},
    )


@pytest.mark.parametrize("variant", ["text", "text+"])
def test_equals_its_closed_form(variant: str) -> None:
    episode = make_episode(COUNTS, views=2)
    x = unit(episode.support.views.mean(0)).numpy()
    y, t = episode.support.labels.numpy(), episode.text.unit().numpy()
    w = np.empty_like(t)
    for c, count in enumerate(COUNTS):
        penalty = 1 / sum(COUNTS) if variant == "text" else 1 / count
        w[c] = t[c] + x[y == c].sum(0) * 100 / (sum(COUNTS) * penalty)
    if variant == "text+":
        step = 2 * w - w.mean(0)
        w -= step / np.linalg.norm(step, axis=1, keepdims=True)
    config = ss_text.Config(variant=variant)
    state = ss_text.fit(episode, config, generator())
    wanted = 100 * unit(queries()) @ unit(torch.from_numpy(w)).T
    torch.testing.assert_close(ss_text.method.logits(state, config, queries()), wanted)


def test_is_the_minimum_of_its_objective() -> None:
    episode = make_episode(COUNTS)
    state = ss_text.fit(episode, ss_text.Config(), generator())
    x, y, t = episode.support.keys(), episode.support.labels, episode.text.unit()
    w = t.clone().requires_grad_()
    penalty = 1 / len(x)
    loss = -(x * w[y]).sum(1).mean() * 100 + penalty / 2 * (w - t).square().sum()
    (gradient,) = torch.autograd.grad(loss, w)
    minimum = (w - gradient / penalty).detach()  # Newton's step on a quadratic
    torch.testing.assert_close(ss_text.class_vectors(state, ss_text.Config()), unit(minimum))


def test_a_large_penalty_is_zero_shot() -> None:
    episode = make_episode(COUNTS)
    config = ss_text.Config(factor=1e9)
    state = ss_text.fit(episode, config, generator())
    torch.testing.assert_close(ss_text.class_vectors(state, config), episode.text.unit())


def test_the_bound_on_lambda_counts_from_a_thousand_pictures() -> None:
    episode = make_episode((600, 600, 600, 600), width=8)
    state = ss_text.fit(episode, ss_text.Config(), generator())
    bound = ss_text.class_vectors(state, ss_text.Config())
    assert not torch.equal(bound, ss_text.class_vectors(state, ss_text.Config(least=1e-9)))
