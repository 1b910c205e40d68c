"""Mix: between class means and texts, by hand, aligned and with GDA's scores."""

from __future__ import annotations

import pytest
import torch

from adapters.methods import gda, mix
from tests.adapters.episodes import generator, make_episode, queries, unit
from tests.adapters.methods import settings


def test_settings() -> None:
    settings.check(
        "mix",
        {
            "kappa": (4.0, "[0, inf)"),
            "align": (False, (False, True)),
            "lda": (0.0, "[0, inf)"),
        },
        {"align": {"align": True}, "lda": {"lda": 1.0}},
    )


@pytest.mark.parametrize("kappa", [0.0, 4.0, 1e6])
def test_class_vectors_by_hand(kappa: float) -> None:
    episode = make_episode((4, 2, 1, 5), views=2)
    config = mix.Config(kappa=kappa)
    found = mix.class_vectors(mix.fit(episode, config, generator()), config)
    for c, count in enumerate((4, 2, 1, 5)):
        mean = unit(episode.support.keys()[episode.support.labels == c].mean(0))
        wanted = unit(kappa * episode.text.unit()[c] + count * mean)
        torch.testing.assert_close(found[c], wanted)


def test_aligned_means_lie_where_texts_differ() -> None:
    episode = make_episode()
    means = mix.fit(episode, mix.Config(align=True), generator())["means"]
    text = episode.text.unit()
    across = (text - text.mean(0)).T  # [d, c]
    torch.testing.assert_close(across @ torch.linalg.pinv(across) @ means.T, means.T)
    torch.testing.assert_close(means.norm(dim=-1), torch.full((4,), 3.0))


def test_lda_adds_the_scores_of_gda() -> None:
    episode, x = make_episode(), queries()
    plain, config = mix.Config(), mix.Config(lda=0.5)
    found = mix.logits(mix.fit(episode, config, generator()), config, x)
    without = mix.logits(mix.fit(episode, plain, generator()), plain, x)
    state = gda.fit(episode, gda.Config(), generator())
    scores = [gda.logits(state, gda.Config(alpha=a), x) for a in (0.5, 0.0)]
    torch.testing.assert_close(found - without, scores[0] - scores[1], atol=1e-3, rtol=1e-3)
    assert {*mix.space(plain).logits} == {"kappa"}
    assert {*mix.space(config).logits} == {"kappa", "lda"}
