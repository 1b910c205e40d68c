"""CLAP: zero-shot untrained, held near the texts, its multipliers and its training by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator, Tensor
from torch.nn.functional import cross_entropy, normalize

from adapters import compose
from adapters.methods.clap import Config, _multipliers
from tests.adapters import synthetic
from tests.adapters.methods import settings

EPISODE, TEST = synthetic.episode()
ZERO = compose.get("zero-shot")


def scores(name: str, **overrides: Any) -> Tensor:
    method = compose.get(name)
    config = method.config(**overrides)
    return method.logits(method.fit(EPISODE, config, Generator().manual_seed(0)), config, TEST.x)


def zero_shot() -> Tensor:
    return ZERO.logits(ZERO.fit(EPISODE, ZERO.config(), Generator()), ZERO.config(), TEST.x)


def test_settings() -> None:
    settings.check(
        "clap",
        {
            **settings.HEAD,
            "multipliers": ("class", ("class", "mean", "one")),
            "distance": ("l2", ("l2", "cosine")),
            "learning_rate": (0.1, "(0, inf)"),
            "momentum": (0.9, "[0, 1)"),
            "epochs": (300, "[0, inf)"),
            "most_steps": (2500, "[0, inf)"),
        },
        {"paper": {"most_steps": 0}},
    )


def test_untrained_it_is_zero_shot() -> None:
    torch.testing.assert_close(scores("clap", epochs=0), zero_shot(), atol=1e-3, rtol=1e-4)


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
    free, held = scores("zs-lp", epochs=100) - zero_shot(), scores("clap", epochs=100) - zero_shot()
    assert held.norm() < free.norm()


def test_claps_multipliers_are_the_texts_certainty() -> None:
    episode, _ = synthetic.episode(views=3)
    x, y = episode.support.views.numpy().astype(float), episode.support.labels.numpy()
    f = x / np.linalg.norm(x, axis=-1, keepdims=True)
    z = np.exp(episode.logit_scale * (f @ episode.text.unit().numpy().T.astype(float) - 1))
    p = z / z.sum(-1, keepdims=True)  # [v, n, c]
    expected = [p[:, y == c, c].mean() for c in range(episode.classes)]
    np.testing.assert_allclose(_multipliers(episode, Config()), expected, rtol=1e-3, atol=1e-6)


def test_multipliers_may_be_their_mean_or_one() -> None:
    each = _multipliers(EPISODE, Config())
    mean = _multipliers(EPISODE, Config(multipliers="mean"))
    torch.testing.assert_close(mean, each.mean().expand(5))
    assert _multipliers(EPISODE, Config(multipliers="one")).tolist() == [1] * 5


@pytest.mark.parametrize("distance", ["l2", "cosine"])
def test_three_epochs_are_three_steps_of_sgd(distance: str) -> None:
    f, labels = normalize(EPISODE.support.x, dim=-1), EPISODE.support.labels
    text = 10 * EPISODE.text.unit()
    certain = _multipliers(EPISODE, Config())
    w = text.clone().requires_grad_()
    sgd = torch.optim.SGD([w], lr=1, momentum=0.6)
    for rate in (1e-5, 0.2, 0.15):
        sgd.param_groups[0]["lr"] = rate
        sgd.zero_grad()
        far = torch.stack(
            [
                (v - t) @ (v - t) if distance == "l2" else 1 - v @ t / (v.norm() * t.norm())
                for v, t in zip(w, text, strict=True)
            ]
        )
        fitted = cross_entropy(100 * f @ normalize(w, dim=1).T, labels)
        (fitted + (certain * far).sum() / 5).backward()
        sgd.step()
    config = Config(epochs=3, learning_rate=0.2, momentum=0.6, distance=distance)
    state = compose.get("clap").fit(EPISODE, config, Generator())
    torch.testing.assert_close(state["weights"], w.detach(), atol=1e-4, rtol=1e-4)
