"""GraphAdapter and HeGraphAdapter: messages in NumPy, and where they are other methods."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Generator
from torch.nn.functional import normalize

from adapters import compose
from adapters.maths import graphs
from adapters.methods import _cache_model as cache_model
from featcache.errors import MethodError
from tests.adapters import synthetic

GRAPH, HEGRAPH = compose.get("graph-adapter"), compose.get("hegraph-adapter")
ZERO, TIP = compose.get("zero-shot"), compose.get("tip-adapter")


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def likeness(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return unit(a - a.mean(0)) @ unit(b - b.mean(0)).T


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


def test_edges_sum_to_one() -> None:
    cosines = torch.rand(4, 6) - 0.5
    torch.testing.assert_close(graphs.soft_edges(cosines, 3.0).sum(1), torch.ones(4))
    signed = graphs.signed_edges(cosines)
    torch.testing.assert_close(signed.abs().sum(1), torch.ones(4))
    assert torch.equal(signed.sign(), cosines.sign())


@pytest.mark.parametrize("class_bias", [False, True])
def test_class_vectors_are_the_equation(class_bias: bool) -> None:
    episode, _ = synthetic.episode()
    config = GRAPH.config(beta=0.3, share=0.6, sharpness=4.0, class_bias=class_bias, steps=10)
    state = GRAPH.fit(episode, config, Generator().manual_seed(0))
    assert GRAPH.class_vectors is not None
    found = GRAPH.class_vectors(state, config).double().numpy()

    text, images = (state[f"nodes.{kind}"].double().numpy() for kind in ("text", "image"))

    def message(kind: str, nodes: np.ndarray) -> np.ndarray:
        e = np.exp(4.0 * likeness(text, nodes))
        w = state[f"weight.{kind}"].double().numpy() + np.eye(nodes.shape[1])
        b = state[f"bias.{kind}"].double().numpy() if class_bias else 0
        return np.tanh(e / e.sum(1, keepdims=True) @ nodes @ w + b)

    wanted = 0.7 * text + 0.3 * (0.4 * message("text", text) + 0.6 * message("image", images))
    np.testing.assert_allclose(found, unit(wanted), atol=1e-5)


def test_without_messages_it_is_zero_shot() -> None:
    episode, test = synthetic.episode()
    config = GRAPH.config(beta=0.0)
    found = GRAPH.logits(GRAPH.fit(episode, config, Generator()), config, test.x)
    wanted = ZERO.logits(ZERO.fit(episode, ZERO.config(), Generator()), ZERO.config(), test.x)
    torch.testing.assert_close(found, wanted)


def test_biases_belong_to_classes() -> None:
    episode, test = synthetic.episode()
    assert GRAPH.with_text is not None
    for class_bias in (False, True):
        config = GRAPH.config(class_bias=class_bias, steps=10)
        state = GRAPH.fit(episode, config, Generator())
        if class_bias:
            with pytest.raises(MethodError, match="class_bias"):
                GRAPH.with_text(state, config, episode.text)
            continue
        again = GRAPH.with_text(state, config, episode.text)
        assert torch.equal(GRAPH.logits(again, config, test.x), GRAPH.logits(state, config, test.x))


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
