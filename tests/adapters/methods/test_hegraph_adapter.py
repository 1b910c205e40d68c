"""HeGraphAdapter: messages in NumPy, and where it is Tip-Adapter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Generator
from torch.nn.functional import normalize

from adapters import compose
from adapters.methods import _cache_model as cache_model
from tests.adapters import synthetic
from tests.adapters.methods import settings

HEGRAPH, TIP = compose.get("hegraph-adapter"), compose.get("tip-adapter")


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def likeness(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return unit(a - a.mean(0)) @ unit(b - b.mean(0)).T


def test_settings() -> None:
    settings.check(
        "hegraph-adapter",
        {
            **settings.CACHE,
            "negatives": ("prompts", ("prompts", "reflected", "others")),
            "from_text": (0.06, "[0, inf)"),
            "from_image": (0.24, "[0, inf)"),
            "training_negative": (0.2, "[0, inf)"),
            "negative": (0.1, "[0, inf)"),
            "power": (3.0, "(0, inf)"),
            "contrast": (0.5, "(0, inf)"),
            "own_edges": (True, (False, True)),
            "gamma": (1.0, "[0, inf)"),
            "batch": (128, "[1, inf)"),
            "steps": (200, "[0, inf)"),
            "learning_rate": (0.001, "(0, inf)"),
            "weight_decay": (0.01, "[0, inf)"),
        },
    )
    found = HEGRAPH.space(HEGRAPH.config(steps=9))
    assert found.fit == {"steps": (0, 9)}
    assert HEGRAPH.space(HEGRAPH.config(steps=0)).fit == {"steps": (0,)}
    assert found.logits == TIP.space(TIP.config()).logits
    assert HEGRAPH.criterion == "cross-entropy"


def test_own_edges_join_a_class_with_itself() -> None:
    """With steep cosines only they are left, so that a text hears its own pictures."""
    episode, _ = synthetic.episode()
    config = HEGRAPH.config(power=200.0, from_text=0.0, from_image=1.0, negative=0.0, steps=0)
    state = HEGRAPH.fit(episode, replace(config, gamma=1.0), Generator())
    still = HEGRAPH.fit(episode, replace(config, gamma=0.0), Generator())
    labels = episode.support.labels
    text, keys = episode.text.unit(), still["keys"]
    means = torch.stack([normalize(keys[labels == c].mean(0), dim=0) for c in range(len(text))])
    moved = keys + (normalize(text + means, dim=-1) - text)[labels]
    torch.testing.assert_close(state["keys"], normalize(moved, dim=-1))


@pytest.mark.parametrize("negatives", ["reflected", "others", "prompts"])
def test_negatives(negatives: str) -> None:
    """With all messages off, it is Tip-Adapter whose texts are positive less negative."""
    episode, test = synthetic.extended(*synthetic.episode())
    assert episode.negative is not None
    config = HEGRAPH.config(
        negatives=negatives,
        from_text=0.0,
        from_image=0.0,
        negative=0.0,
        gamma=0.0,
        steps=0,
        power=1.0,
        contrast=1.0,
        own_edges=False,
    )
    state = HEGRAPH.fit(episode, config, Generator())
    tip = TIP.fit(episode, TIP.config(), Generator())
    near = cache_model.nearness(tip, test.x)
    shares = [cache_model.from_cache(each, near, 2.0) for each in (state, tip)]
    torch.testing.assert_close(*shares)
    torch.testing.assert_close(state["keys"], tip["keys"])

    text = episode.text.unit().double().numpy()
    images = np.stack(
        [tip["keys"][episode.support.labels == c].mean(0) for c in range(episode.classes)]
    )
    others = (text.sum(0) - text) / (len(text) - 1)
    negative = {
        "reflected": unit(2 * text.mean(0) - text),
        "others": unit(others),
        "prompts": episode.negative.unit().double().numpy(),
    }[negatives]
    heard = np.zeros_like(text)
    for nodes in (text, unit(images.astype(np.float64)), negative):
        edges = likeness(negative, nodes)
        heard += edges / np.abs(edges).sum(1, keepdims=True) @ nodes
    wanted = text - unit(negative / 2 + heard / 6)
    np.testing.assert_allclose(state["text"], wanted, atol=1e-5)
    assert HEGRAPH.logits(state, config, test.x).isfinite().all()


def test_without_negative_prompts_it_reflects() -> None:
    episode, _ = synthetic.episode()
    states = [
        HEGRAPH.fit(episode, HEGRAPH.config(negatives=kind, steps=3), Generator().manual_seed(0))
        for kind in ("prompts", "reflected")
    ]
    assert torch.equal(states[0]["text"], states[1]["text"])


def test_all_messages_together_are_the_equation() -> None:
    """Own edges, -1 from the negative of a class to what is of it; cubed; unequal weights."""
    episode, _ = synthetic.extended(*synthetic.episode())
    assert episode.negative is not None
    config = HEGRAPH.config(from_text=0.2, from_image=0.3, negative=0.4, contrast=0.7, steps=0)
    state = HEGRAPH.fit(episode, config, Generator())
    p, n = (x.unit().double().numpy() for x in (episode.text, episode.negative))
    keys, labels = episode.support.keys().double().numpy(), episode.support.labels.numpy()
    v = unit(np.stack([keys[labels == c].mean(0) for c in range(5)]))

    def heard(to: np.ndarray, of: np.ndarray, own: float) -> np.ndarray:
        edges = likeness(to, of)
        np.fill_diagonal(edges, own)
        edges = np.sign(edges) * np.abs(edges) ** 3
        return edges / np.abs(edges).sum(1, keepdims=True) @ of

    negative = unit(n / 2 + (heard(n, p, -1) + heard(n, v, -1) + heard(n, n, 1)) / 6)
    positive = p + 0.2 * heard(p, p, 1) + 0.3 * heard(p, v, 1) + 0.4 * heard(p, negative, -1)
    positive = unit(positive)
    np.testing.assert_allclose(state["text"], 0.7 * (positive - negative), atol=1e-5)
    np.testing.assert_allclose(state["keys"], unit(keys + (positive - p)[labels]), atol=1e-5)
