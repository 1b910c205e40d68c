"""APE and APE-T: the sums over pairs and classes against loops, and their identities."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch.nn.functional import kl_div

from adapters.methods import _channel_cache as channel_cache
from adapters.methods import ape, ape_t, tip_adapter
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


def test_on_every_channel_without_divergence_it_is_tip_adapter() -> None:
    episode = make_episode((4, 2, 3, 5), views=2)
    config = ape.Config(share=1, gamma=0, alpha=3, beta=2)
    tip = tip_adapter.Config(alpha=3, beta=2)
    torch.testing.assert_close(
        ape.method.logits(ape.fit(episode, config, generator()), config, queries()),
        tip_adapter.method.logits(tip_adapter.fit(episode, tip, generator()), tip, queries()),
    )


def test_untrained_ape_t_is_ape() -> None:
    episode = make_episode((4, 2, 3, 5), views=2)
    config = ape_t.Config(epochs=0)
    plain = ape.fit(episode, ape.Config(), generator())
    torch.testing.assert_close(
        ape_t.method.logits(ape_t.fit(episode, config, generator()), config, queries()),
        ape.method.logits(plain, ape.Config(), queries()),
    )


def test_ape_t_moves_its_channels_alone() -> None:
    episode = make_episode()
    state = ape_t.fit(episode, ape_t.Config(batch=4), generator())
    rest = torch.ones(16, dtype=torch.bool)
    rest[state["channels"]] = False
    moved, text = state["text"], episode.text.unit()
    torch.testing.assert_close(unit(moved[:, rest]), unit(text[:, rest]))
    assert not torch.allclose(moved[:, ~rest], text[:, ~rest])
