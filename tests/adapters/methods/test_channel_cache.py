"""The cache on channels: sums over pairs against loops, its equation in NumPy, its search."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch.nn.functional import kl_div

from adapters.methods import _channel_cache as channel_cache
from adapters.methods import ape
from tests.adapters.episodes import generator, make_episode, queries, unit


@pytest.mark.parametrize("pictures", [False, True])
def test_importance_equals_the_loop_over_pairs(pictures: bool) -> None:
    episode = make_episode((4, 2, 3, 5))
    text, keys, labels = episode.text.unit(), episode.support.keys(), episode.support.labels
    groups = [
        torch.cat([text[c : c + 1], keys[labels == c]]) if pictures else text[c : c + 1]
        for c in range(4)
    ]
    between = torch.zeros(16)
    for a, b in itertools.permutations(groups, 2):
        between += sum(x * y for x in a for y in b) / (len(a) * len(b))
    config = ape.Config(importance_from="text and pictures" if pictures else "text")
    wanted = 0.3 * text.var(0) - 0.7 * between / 12
    torch.testing.assert_close(channel_cache.importance(text, keys, labels, config), wanted)


def test_the_order_of_the_support_does_not_matter() -> None:
    episode = make_episode((4, 2, 3, 5))
    order = torch.randperm(14, generator=generator())
    one, two = (
        channel_cache.start(episode, ape.Config()),
        channel_cache.importance(
            episode.text.unit(),
            episode.support.keys()[order],
            episode.support.labels[order],
            ape.Config(importance_from="text and pictures"),
        ),
    )
    assert len(one["channels"]) == round(0.7 * 16)
    torch.testing.assert_close(
        two,
        channel_cache.importance(
            episode.text.unit(),
            episode.support.keys(),
            episode.support.labels,
            ape.Config(importance_from="text and pictures"),
        ),
    )


def test_divergence_is_that_of_the_label_from_the_answer() -> None:
    episode = make_episode()
    state = channel_cache.start(episode, ape.Config(share=1))
    answer = 100 * episode.support.keys() @ episode.text.unit().T
    y = episode.support.one_hot(4)
    wanted = kl_div(answer.log_softmax(1), y, reduction="none").sum(1)
    torch.testing.assert_close(state["divergence"], wanted, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("share", "kept"), [(0.01, 1), (0.3, 5), (0.7, 11), (1.0, 16)])
def test_the_best_channels_are_kept_in_order(share: float, kept: int) -> None:
    episode = make_episode()
    config = ape.Config(share=share)
    state = channel_cache.start(episode, config)
    score = channel_cache.importance(
        episode.text.unit(), episode.support.keys(), episode.support.labels, config
    )
    best = sorted(sorted(range(16), key=lambda k: -score[k])[:kept])
    assert state["channels"].tolist() == best
    torch.testing.assert_close(state["keys"], unit(episode.support.keys()[:, best]))


def test_logits_are_the_equation() -> None:
    episode = make_episode((4, 2, 3, 5))
    config = ape.Config(alpha=3.0, beta=2.5, gamma=0.2, share=0.5)
    state = channel_cache.start(episode, config)
    state["weights"] = torch.linspace(0.5, 2, 14)
    f, few = unit(queries()).double().numpy(), state["channels"].numpy()
    keys, text = (
        x.double().numpy() for x in (unit(episode.support.keys()[:, few]), episode.text.unit())
    )
    g = f[:, few] / np.linalg.norm(f[:, few], axis=1, keepdims=True)
    weight = state["weights"].numpy() * np.exp(0.2 * state["divergence"].numpy())
    one_hot = np.eye(4)[episode.support.labels.numpy()]
    wanted = 100 * f @ text.T + 3 * np.exp(-2.5 * (1 - g @ keys.T)) * weight @ one_hot
    found = channel_cache.logits(state, config, queries())
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_the_search_is_over_three_settings() -> None:
    axes = channel_cache.space(ape.Config(beta_scale=9, alpha_scale=5)).logits
    assert list(axes) == ["beta", "gamma", "alpha"]
    assert axes["beta"] == pytest.approx([0.1 + i * 8.9 / 8 for i in range(8)])
    assert axes["alpha"] == pytest.approx([0.1 + i * 4.9 / 10 for i in range(10)])
    assert axes["gamma"] == (0.0, 0.05, 0.2)


def test_an_axis_left_out_keeps_the_configs_value() -> None:
    episode, config = make_episode(), ape.Config(alpha=3.0, beta=2.0, gamma=0.3)
    state = ape.fit(episode, config, generator())
    [(choice, found)] = channel_cache.logits_over(state, config, queries(), {})
    assert choice == {}
    torch.testing.assert_close(found, channel_cache.logits(state, config, queries()))
