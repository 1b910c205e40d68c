"""ZS-LP, CLAP and TaskRes: where they start, what holds them there, and that they are kin."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from adapters import compose
from tests.adapters import synthetic

EPISODE, TEST = synthetic.episode()
ZERO = compose.get("zero-shot")


def scores(name: str, **settings: Any) -> Tensor:
    method = compose.get(name)
    config = method.config(**settings)
    return method.logits(method.fit(EPISODE, config, Generator().manual_seed(0)), config, TEST.x)


def zero_shot() -> Tensor:
    return ZERO.logits(ZERO.fit(EPISODE, ZERO.config(), Generator()), ZERO.config(), TEST.x)


@pytest.mark.parametrize(
    ("name", "settings"),
    [("zs-lp", {"epochs": 0}), ("clap", {"epochs": 0}), ("taskres", {"alpha": 0})],
)
def test_untrained_it_is_zero_shot(name: str, settings: dict[str, Any]) -> None:
    torch.testing.assert_close(scores(name, **settings), zero_shot(), atol=1e-3, rtol=1e-4)


def test_clap_ends_where_its_objective_is_flat() -> None:
    """CE + mean_c |w_c - r t_c|^2, written again here, has next to no gradient at the answer."""
    clap = compose.get("clap")
    state = clap.fit(EPISODE, clap.config(multipliers="one"), Generator().manual_seed(0))
    start = 10 * EPISODE.text.unit()
    f = torch.nn.functional.normalize(EPISODE.support.x, dim=-1)

    def gradient(w: Tensor) -> Tensor:
        w = w.clone().requires_grad_()
        scores = 100 * f @ (w / w.norm(dim=1, keepdim=True)).T
        loss = torch.nn.functional.cross_entropy(scores, EPISODE.support.labels)
        (found,) = torch.autograd.grad(loss + (w - start).square().sum(1).mean(), w)
        return found.norm()

    assert gradient(state["weights"]) < 0.01 * gradient(start)


def test_clap_stays_nearer_to_the_text() -> None:
    free, held = scores("zs-lp") - zero_shot(), scores("clap") - zero_shot()
    assert held.norm() < free.norm()


def test_claps_multipliers_are_the_texts_certainty() -> None:
    from adapters.methods.clap import Config, _multipliers

    episode, _ = synthetic.episode(views=3)
    x, y = episode.support.views.numpy().astype(float), episode.support.labels.numpy()
    f = x / np.linalg.norm(x, axis=-1, keepdims=True)
    z = np.exp(episode.logit_scale * (f @ episode.text.unit().numpy().T.astype(float) - 1))
    p = z / z.sum(-1, keepdims=True)  # [v, n, c]
    expected = [p[:, y == c, c].mean() for c in range(episode.classes)]
    np.testing.assert_allclose(_multipliers(episode, Config()), expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", ["zs-lp", "clap", "taskres"])
def test_targets_are_what_logits_compare_with(name: str) -> None:
    method = compose.get(name)
    config = method.config()
    state = method.fit(EPISODE, config, Generator().manual_seed(0))
    assert method.class_vectors is not None
    f = torch.nn.functional.normalize(TEST.x, dim=-1)
    expected = EPISODE.logit_scale * f @ method.class_vectors(state, config).T
    torch.testing.assert_close(method.logits(state, config, TEST.x), expected)


def test_a_longer_text_is_turned_less() -> None:
    moved = [(scores("zs-lp", text_norm=r) - zero_shot()).norm() for r in (1.0, 10.0, 100.0)]
    assert moved[0] > moved[1] > moved[2]
