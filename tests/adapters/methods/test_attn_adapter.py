"""Attn-Adapter against its equation in NumPy; a class without pictures keeps its text."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator

from adapters import compose
from adapters.episode import Episode, Query, Support
from adapters.method import State
from adapters.methods import attn_adapter
from tests.adapters import synthetic
from tests.adapters.methods import settings

ATTN, ZERO = compose.get("attn-adapter"), compose.get("zero-shot")


def fit(episode: Episode, **settings: Any) -> tuple[Any, State]:
    config = ATTN.config(**settings)
    return config, ATTN.fit(episode, config, Generator().manual_seed(0))


def test_settings() -> None:
    settings.check(
        "attn-adapter",
        {
            "alpha": (2.0, "[0, inf)"),
            "training_alpha": (2.0, "[0, inf)"),
            "hidden": (128, "[1, inf)"),
            "local": (0.5, "[0, inf)"),
            "training_local": (0.5, "[0, inf)"),
            "local_hidden": (32, "[1, inf)"),
            "batch": (128, "[1, inf)"),
            "steps": (200, "[0, inf)"),
            "learning_rate": (0.001, "(0, inf)"),
            "weight_decay": (0.01, "[0, inf)"),
        },
    )


def test_reading_is_attention_to_the_own_class() -> None:
    episode, _ = synthetic.episode(3)
    g = Generator().manual_seed(0)
    maps = {"query": (4, 4), "key": (4, 4), "value": (4, 16)}
    net = {f"{kind}.down": torch.randn(h, 16, generator=g) for kind, (h, _) in maps.items()}
    net |= {f"{kind}.up": torch.randn(o, h, generator=g) for kind, (h, o) in maps.items()}
    net |= {"gate": torch.randn(16, generator=g), "gate.bias": torch.randn(1, generator=g)}
    text, memory = episode.text.unit(), episode.support.keys()
    labels = episode.support.labels
    found = attn_adapter._read(net, text, memory, labels)

    def mlp(kind: str, x: np.ndarray) -> np.ndarray:
        down, up = (net[f"{kind}.{name}"].double().numpy() for name in ("down", "up"))
        return np.maximum(x @ down.T, 0) @ up.T

    for c in range(episode.classes):
        t, x = text[c].double().numpy(), memory[labels == c].double().numpy()
        a = np.exp(mlp("key", x) @ mlp("query", t) / 2)
        gate = 1 / (1 + np.exp(-(t @ net["gate"].double().numpy() + net["gate.bias"].item())))
        wanted = gate * (a / a.sum()) @ (x + mlp("value", x))
        np.testing.assert_allclose(found[c], wanted, atol=1e-4)


def test_without_memory_it_is_zero_shot() -> None:
    episode, test = synthetic.episode()
    wanted = ZERO.logits(ZERO.fit(episode, ZERO.config(), Generator()), ZERO.config(), test.x)
    config, state = fit(episode, alpha=0.0)
    torch.testing.assert_close(ATTN.logits(state, config, test.query), wanted)
    config, state = fit(episode)
    assert ATTN.with_text is not None
    again = ATTN.with_text(state, config, episode.text)
    torch.testing.assert_close(ATTN.logits(again, config, test.query), wanted)


def test_a_class_without_pictures_keeps_its_text() -> None:
    episode, _ = synthetic.episode()
    s = episode.support
    kept = s.labels != 2
    ids = tuple(i for i, keep in zip(s.ids, kept.tolist(), strict=True) if keep)
    partial = replace(episode, support=Support(s.views[:, kept], s.labels[kept], ids))
    config, state = fit(partial, steps=10)
    assert ATTN.class_vectors is not None
    torch.testing.assert_close(ATTN.class_vectors(state, config)[2], episode.text.unit()[2])


def test_looking_is_attention_to_the_own_patches() -> None:
    g = Generator().manual_seed(0)
    net = {f"local.{k}.down": torch.randn(4, 16, generator=g) for k in ("query", "key", "value")}
    net |= {f"local.{k}.up": torch.randn(4, 4, generator=g) for k in ("query", "key")}
    net |= {"local.value.up": torch.randn(16, 4, generator=g)}
    net |= {
        "local.gate": torch.randn(16, generator=g),
        "local.gate.bias": torch.randn(1, generator=g),
    }
    f, patches = torch.randn(3, 16, generator=g), torch.randn(3, 5, 16, generator=g).half()
    found = attn_adapter._look(net, f, patches)

    def mlp(kind: str, x: np.ndarray) -> np.ndarray:
        down, up = (net[f"local.{kind}.{name}"].double().numpy() for name in ("down", "up"))
        return np.maximum(x @ down.T, 0) @ up.T

    for one, own, message in zip(f.double().numpy(), patches.double().numpy(), found, strict=True):
        p = own / np.linalg.norm(own, axis=1, keepdims=True)
        a = np.exp(mlp("key", p) @ mlp("query", one) / 2)
        at = one @ net["local.gate"].double().numpy() + net["local.gate.bias"].item()
        wanted = 1 / (1 + np.exp(-at)) * (a / a.sum()) @ (p + mlp("value", p))
        np.testing.assert_allclose(message, wanted, atol=1e-4)


def test_patches_enter_by_their_weight_alone() -> None:
    episode, test = synthetic.extended(*synthetic.episode())
    zero = ZERO.logits(ZERO.fit(episode, ZERO.config(), Generator()), ZERO.config(), test.x)
    config, state = fit(episode, alpha=0.0, local=0.0, steps=5)
    torch.testing.assert_close(ATTN.logits(state, config, test.query), zero)
    config, state = fit(episode, alpha=0.0, local=1.0, steps=5)
    moved = ATTN.logits(state, config, test.query)
    assert not torch.allclose(moved, zero)
    # The order of patches does not matter, but which picture they are of does.
    assert test.patches is not None
    turned = ATTN.logits(state, config, Query(test.x, patches=test.patches.flip(1)))
    torch.testing.assert_close(turned, moved, atol=1e-3, rtol=1e-4)
    foreign = ATTN.logits(state, config, Query(test.x, patches=test.patches.roll(30, 0)))
    assert not torch.allclose(foreign, moved, atol=1e-2)


def test_many_pictures_are_looked_at_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    episode, test = synthetic.extended(*synthetic.episode())
    config, state = fit(episode, steps=5)
    whole = ATTN.logits(state, config, test.query)
    monkeypatch.setattr(attn_adapter, "CHUNK", 7)
    torch.testing.assert_close(ATTN.logits(state, config, test.query), whole)
