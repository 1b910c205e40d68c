"""APE-T: untrained it is APE, and its training written out."""

from __future__ import annotations

import torch
from torch.nn.functional import cross_entropy, normalize, one_hot

from adapters.methods import ape, ape_t
from tests.adapters.episodes import alike, generator, make_episode, queries, unit
from tests.adapters.methods import settings


def test_settings() -> None:
    settings.check(
        "ape-t",
        {
            **settings.CHANNELS,
            "learning_rate": (0.001, "(0, inf)"),
            "weight_decay": (0.1, "[0, inf)"),
            "eps": (0.0001, "(0, inf)"),
            "epochs": (20, "[0, inf)"),
            "batch": (256, "[1, inf)"),
            "most_steps": (640, "[0, inf)"),
        },
        {"paper": {"most_steps": 0}},
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


def test_two_epochs_are_two_steps_of_adamw() -> None:
    """All 14 pictures are one batch; residuals and weights are trained together."""
    episode = make_episode((4, 2, 3, 5))
    config = ape_t.Config(
        epochs=2, learning_rate=0.02, eps=1e-3, weight_decay=0.2, alpha=1.5, beta=2.0, gamma=0.05
    )
    start = ape.fit(episode, ape.Config(), generator())
    few, labels = start["channels"], episode.support.labels
    f, onto = unit(episode.support.x), torch.eye(16)[start["channels"]]
    counted = alike(labels)
    residual, weights = torch.zeros(4, len(few), requires_grad=True), counted.clone()
    weights.requires_grad_()

    def moved() -> tuple[torch.Tensor, torch.Tensor]:
        text = normalize(start["text"] + residual @ onto, dim=1)
        return text, normalize(start["keys"] + residual[labels], dim=1)

    adam = torch.optim.AdamW([residual, weights], lr=1, eps=1e-3, weight_decay=0.2)
    for rate in (0.02, 0.01):
        text, keys = moved()
        near = (-2.0 * (1 - unit(f[:, few]) @ keys.T)).exp()
        each = weights * (0.05 * start["divergence"]).exp()
        cache = near * each @ one_hot(labels, 4).float()
        adam.param_groups[0]["lr"] = rate
        adam.zero_grad()
        each = cross_entropy(100 * f @ text.T + 1.5 * cache, labels, reduction="none")
        (counted * each).mean().backward()
        adam.step()
    state = ape_t.fit(episode, config, generator())
    text, keys = moved()
    torch.testing.assert_close(state["text"], text.detach(), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(state["keys"], keys.detach(), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(state["weights"], weights.detach(), atol=1e-4, rtol=1e-3)
