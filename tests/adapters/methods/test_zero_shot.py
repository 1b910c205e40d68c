"""Zero-shot: cosines to pooled prompts, nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Generator

from adapters import compose
from tests.adapters import whurs19
from tests.adapters.episodes import make_episode, queries, unit

ZERO = compose.get("zero-shot")


def test_logits_are_the_equation_over_ragged_prompts() -> None:
    """Each prompt normalised, the mean of those a class has, normalised again."""
    episode = make_episode(prompts=(5, 2, 4, 3))
    texts = []
    for prompts, there in zip(episode.text.prompts, episode.text.mask, strict=True):
        own = prompts[there].double().numpy()
        mean = (own / np.linalg.norm(own, axis=1, keepdims=True)).mean(0)
        texts.append(mean / np.linalg.norm(mean))
    f = unit(queries()).double().numpy()
    state = ZERO.fit(episode, ZERO.config(), Generator())
    found = ZERO.logits(state, ZERO.config(), queries())
    np.testing.assert_allclose(found, 100 * f @ np.stack(texts).T, rtol=1e-4, atol=1e-4)


def test_pictures_are_not_looked_at() -> None:
    states = [ZERO.fit(make_episode(n), ZERO.config(), Generator()) for n in ((1,) * 4, (9,) * 4)]
    assert states[0].keys() == states[1].keys() == {"text", "logit_scale"}
    for e, state in zip((make_episode((1,) * 4), make_episode((9,) * 4)), states, strict=True):
        assert torch.equal(state["text"], e.text.unit())


def test_it_has_nothing_to_set_or_to_search() -> None:
    space = ZERO.space(ZERO.config())
    assert (space.fit, space.logits) == ({}, {})


def test_other_classes_have_their_own_columns() -> None:
    episode = make_episode()
    state = ZERO.fit(episode, ZERO.config(), Generator())
    assert ZERO.with_text is not None
    moved = ZERO.with_text(state, ZERO.config(), episode.text.of(range(1, 3)))
    wanted = ZERO.logits(state, ZERO.config(), queries())[:, 1:3]
    torch.testing.assert_close(ZERO.logits(moved, ZERO.config(), queries()), wanted)


def test_measured_zero_shot(shared_data: Path) -> None:
    assert whurs19.mean_accuracy(shared_data, "zero-shot", 1) == pytest.approx(81.12, abs=0.1)
