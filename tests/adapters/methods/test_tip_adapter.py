"""Tip-Adapter against its equation in NumPy, and against measured numbers on real features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Generator

from adapters import compose
from adapters.maths import kernels
from adapters.methods import _cache_model as cache_model
from tests.adapters import synthetic, whurs19


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def test_logits_are_the_equation() -> None:
    episode, test = synthetic.episode(views=3)
    m = compose.get("tip-adapter")
    config = m.config(alpha=3.0, beta=5.5)
    found = m.logits(m.fit(episode, config, Generator()), config, test.x).numpy()

    f = unit(test.x.numpy().astype(np.float64))
    X = unit(episode.support.views.numpy().astype(np.float64).mean(0))
    T = unit(unit(episode.text.prompts.numpy().astype(np.float64)).mean(1))
    Y = np.eye(episode.classes)[episode.support.labels.numpy()]
    wanted = 100 * f @ T.T + 3.0 * np.exp(-5.5 * (1 - f @ X.T)) @ Y
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-4)


def test_the_search_is_the_released_one() -> None:
    axes = cache_model.space(cache_model.CacheConfig(beta_scale=12, alpha_scale=10)).logits
    assert list(axes) == ["beta", "alpha"]
    assert [len(values) for values in axes.values()] == [200, 20]
    assert axes["beta"][1] == pytest.approx(0.1 + (12 - 0.1) / 200)
    assert axes["alpha"][-1] == pytest.approx(0.1 + 19 * (10 - 0.1) / 20)


def test_sums_by_class_in_portions_are_the_product_with_one_hot_labels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    g = Generator().manual_seed(0)
    near = (torch.rand(40, 9, generator=g) - 1).requires_grad_()
    labels = torch.randint(5, (40,), generator=g)
    monkeypatch.setattr("adapters.maths.kernels.CACHED", 30)
    found = kernels.class_affinity(near, labels, 6, 3.0)
    wanted = torch.nn.functional.one_hot(labels, 6).float().T @ (3 * near).exp()
    torch.testing.assert_close(found, wanted)
    slopes = [torch.autograd.grad(each.square().sum(), near)[0] for each in (found, wanted)]
    torch.testing.assert_close(*slopes)


def test_trained_keys_that_are_no_cosines_are_not_interpolated() -> None:
    episode, test = synthetic.episode()
    m = compose.get("tip-adapter")
    state = m.fit(episode, m.config(), Generator())
    state["keys"] = 2 * state["keys"]
    axes = {"beta": [0.1 + i * 0.06 for i in range(200)]}
    for choice, logits in cache_model.logits_over(state, m.config(), test.x, axes):
        wanted = m.logits(state, m.config(**choice), test.x)
        torch.testing.assert_close(logits, wanted)


def test_without_a_cache_it_is_zero_shot() -> None:
    episode, test = synthetic.episode()
    tip, zero = compose.get("tip-adapter"), compose.get("zero-shot")
    config = tip.config(alpha=0.0)
    found = tip.logits(tip.fit(episode, config, Generator()), config, test.x)
    wanted = zero.logits(zero.fit(episode, zero.config(), Generator()), zero.config(), test.x)
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("views", [1, 3])
def test_f_without_training_is_tip_adapter_and_training_moves_the_keys_alone(views: int) -> None:
    episode, _ = synthetic.episode(views=views)
    tip, f = compose.get("tip-adapter"), compose.get("tip-adapter-f")
    start = tip.fit(episode, tip.config(), Generator())
    untrained = f.fit(episode, f.config(epochs=0), Generator())
    trained = f.fit(episode, f.config(), Generator().manual_seed(0))
    assert untrained.keys() == trained.keys() == start.keys()
    for key, value in start.items():
        assert torch.equal(untrained[key], value)
        assert torch.equal(trained[key], value) == (key != "keys")


@pytest.mark.parametrize(
    ("shots", "wanted"), [(1, 87.84), (2, 90.56), (4, 91.89), (8, 93.44), (16, 94.56)]
)
def test_measured_tip_adapter(shared_data: Path, shots: int, wanted: float) -> None:
    assert whurs19.mean_accuracy(shared_data, "tip-adapter", shots) == pytest.approx(
        wanted, abs=0.1
    )


def test_measured_zero_shot(shared_data: Path) -> None:
    assert whurs19.mean_accuracy(shared_data, "zero-shot", 1) == pytest.approx(81.12, abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize(("shots", "least"), [(4, 92.1), (16, 95.9)])
def test_measured_tip_adapter_f(shared_data: Path, shots: int, least: float) -> None:
    assert whurs19.mean_accuracy(shared_data, "tip-adapter-f", shots) >= least
