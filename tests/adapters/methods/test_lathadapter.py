"""LatHAdapter-R: the identities of its parts, and the mining of triplets."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor
from torch.nn.functional import cross_entropy, normalize

from adapters.compose import get
from adapters.maths import training
from adapters.method import State
from adapters.methods import lathadapter
from adapters.methods.lathadapter import Config
from tests.adapters import synthetic

EPISODE, TEST = synthetic.episode()
QUICK: dict[str, Any] = {"steps": 15, "attributes": 8, "batch": 20, "reduction": 1}


def fit(**overrides: Any) -> tuple[State, Config]:
    config = Config(**(QUICK | overrides))
    return lathadapter.fit(EPISODE, config, Generator().manual_seed(0)), config


def logits(**overrides: Any) -> Tensor:
    state, config = fit(**overrides)
    return lathadapter.logits(state, config, TEST.x)


def zero_shot() -> Tensor:
    zero = get("zero-shot")
    return zero.logits(zero.fit(EPISODE, zero.config(), Generator()), zero.config(), TEST.x)


def two_branches(config: Config) -> Tensor:
    """Two bottleneck adapters trained by cross-entropy, written out."""
    generator = Generator().manual_seed(0)
    views = normalize(EPISODE.support.views, dim=-1)
    text, labels = EPISODE.text.unit(), EPISODE.support.labels
    rows = [training.random_rows(len(labels), config.batch, generator) for _ in range(config.steps)]
    weights: dict[str, Tensor] = {}
    for name in ("image.0", "image.1", "text.0", "text.1"):
        bound = views.shape[-1] ** -0.5  # square layers, as `reduction` is 1
        uniform = torch.rand(views.shape[-1], views.shape[-1], generator=generator)
        weights[name] = bound * (2 * uniform - 1)

    def scores(p: Any, x: Tensor, r: float) -> Tensor:
        def branch(x: Tensor, side: str) -> Tensor:
            moved = ((x @ p[f"{side}.0"].T).relu() @ p[f"{side}.1"].T).relu()
            return normalize((1 - r) * x + r * moved, dim=-1)

        return EPISODE.logit_scale * branch(x, "image") @ branch(text, "text").T

    def loss(p: Any, rows: Tensor) -> Tensor:
        return cross_entropy(scores(p, views[0, rows], config.training_ratio), labels[rows])

    schedule = training.cosine(config.steps)
    trained = training.adamw(weights, loss, rows, config.learning_rate, schedule)
    return scores(trained, normalize(TEST.x, dim=-1), config.ratio)


def test_without_the_hierarchy_it_is_two_adapters_to_the_bit() -> None:
    settings = {"weight": 0.0, "keep": 0.0, "last_relu": True, "training_ratio": 0.3}
    plain = logits(**settings)
    assert torch.equal(plain, two_branches(Config(**QUICK, **settings)))
    others = {"attributes": 3, "model": "lorentz", "curvature": 1.0}
    assert torch.equal(plain, logits(**settings, **others))


def test_the_hierarchy_changes_what_is_learned() -> None:
    assert not torch.allclose(logits(), logits(weight=0.0))


def test_ratio_0_is_zero_shot() -> None:
    torch.testing.assert_close(logits(ratio=0.0), zero_shot())


@pytest.mark.parametrize("side", ["image", "text"])
def test_one_side_leaves_the_other_as_it_was(side: str) -> None:
    state, config = fit(sides=side)
    texts_moved = not torch.allclose(lathadapter.class_vectors(state, config), state["class"])
    f = normalize(TEST.x, dim=-1)
    pictures_moved = not torch.allclose(lathadapter.features(state, config, TEST.x), f)
    assert (pictures_moved, texts_moved) == (side == "image", side == "text")


def test_attention_starts_from_nothing() -> None:
    torch.testing.assert_close(
        logits(attention=True, steps=0), logits(attention=False, steps=0), atol=1e-4, rtol=1e-4
    )
    assert not torch.allclose(logits(attention=True), logits(attention=False))


@pytest.mark.parametrize(
    "overrides",
    [
        {"model": "lorentz"},
        {"learn_curvature": True},
        {"one_sided": True},
        {"start": "random"},
        {"keep": 0.0},
        {"last_relu": True},
        {"batch": 1},
        {"batch": 2},
        {"scale": 100.0, "radius": 100.0},
        {"attributes": 2},
    ],
)
def test_every_choice_trains(overrides: dict[str, Any]) -> None:
    state, config = fit(**overrides)
    assert all(p.isfinite().all() for p in state.values())
    assert lathadapter.logits(state, config, TEST.x).isfinite().all()


def test_keeping_moves_less() -> None:
    f = normalize(TEST.x, dim=-1)

    def moved(keep: float) -> float:
        state, config = fit(keep=keep, steps=60)
        return (lathadapter.adapt(state, "image", f, config) - f).norm().item()

    assert moved(100.0) < moved(0.0)


@settings(deadline=None)
@given(
    n=st.integers(1, 12),
    k=st.integers(1, 30),
    one_sided=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_triplets_are_near_and_far_and_never_the_anchor(
    n: int, k: int, one_sided: bool, seed: int
) -> None:
    generator = Generator().manual_seed(seed)
    x = torch.rand(n, 2, generator=generator)
    labels = torch.randint(3, (n,), generator=generator)
    d = torch.cdist(x, x)
    config = Config(neighbours=k, triplets=3, one_sided=one_sided)
    i, j, far = lathadapter.triplets(d, labels, config, generator)
    assert len(i) == len(j) == len(far)
    assert not (i == j).any()
    assert not (i == far).any()
    assert not (j == far).any()
    # A near point of the anchor's class never gives way to a far one of another class.
    assert not ((labels[i] == labels[far]) & (labels[i] != labels[j])).any()


def test_new_classes_go_through_the_text_adapter() -> None:
    state, config = fit()
    renamed = lathadapter.with_text(state, config, EPISODE.text)
    assert torch.equal(
        lathadapter.logits(renamed, config, TEST.x), lathadapter.logits(state, config, TEST.x)
    )
