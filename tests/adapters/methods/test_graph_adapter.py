"""GraphAdapter: messages in NumPy, and where it is zero-shot."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Generator
from torch.nn.functional import cross_entropy, normalize

from adapters import compose
from featcache.errors import MethodError
from tests.adapters import synthetic
from tests.adapters.methods import settings

GRAPH, ZERO = compose.get("graph-adapter"), compose.get("zero-shot")


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def likeness(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return unit(a - a.mean(0)) @ unit(b - b.mean(0)).T


def test_settings() -> None:
    settings.check(
        "graph-adapter",
        {
            "beta": (0.4, "[0, 1]"),
            "share": (0.7, "[0, 1]"),
            "sharpness": (10.0, "[0, inf)"),
            "class_bias": (False, (False, True)),
            "batch": (128, "[1, inf)"),
            "steps": (200, "[0, inf)"),
            "learning_rate": (0.001, "(0, inf)"),
            "weight_decay": (0.01, "[0, inf)"),
        },
    )
    found = GRAPH.space(GRAPH.config())
    assert (found.fit, found.logits) == ({"beta": (0.2, 0.4, 0.6)}, {})
    assert GRAPH.criterion == "cross-entropy"


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


def test_two_steps_are_two_of_adamw() -> None:
    """The weights start at the identity, of which the state holds what was added."""
    episode, _ = synthetic.episode()
    config = GRAPH.config(steps=2, batch=9, learning_rate=0.05, weight_decay=0.2)
    state = GRAPH.fit(episode, config, Generator().manual_seed(0))
    f, labels = normalize(episode.support.x, dim=-1), episode.support.labels
    nodes = {kind: state[f"nodes.{kind}"] for kind in ("text", "image")}
    added = {kind: torch.zeros(16, 16, requires_grad=True) for kind in nodes}
    g = Generator().manual_seed(0)
    batches = [torch.randint(40, (9,), generator=g) for _ in range(2)]
    adam = torch.optim.AdamW(added.values(), lr=1, weight_decay=0.2)
    for rows, rate in zip(batches, (0.05, 0.025), strict=True):
        heard = []
        for kind, of in nodes.items():
            a, b = (x - x.mean(0) for x in (nodes["text"], of))
            edges = (10 * normalize(a, dim=1) @ normalize(b, dim=1).T).softmax(1)
            heard.append((edges @ of @ (torch.eye(16) + added[kind])).tanh())
        vectors = 0.6 * nodes["text"] + 0.4 * (0.3 * heard[0] + 0.7 * heard[1])
        adam.param_groups[0]["lr"] = rate
        adam.zero_grad()
        cross_entropy(100 * f[rows] @ normalize(vectors, dim=1).T, labels[rows]).backward()
        adam.step()
    for kind, value in added.items():
        torch.testing.assert_close(state[f"weight.{kind}"], value.detach(), atol=1e-4, rtol=1e-3)
