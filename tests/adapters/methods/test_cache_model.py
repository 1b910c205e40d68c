"""The key-value cache: its parts in NumPy, its released search, where it interpolates."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from adapters import compose
from adapters.methods import _cache_model as cache_model
from tests.adapters import synthetic
from tests.adapters.episodes import alike, make_episode, queries, unit

CONFIG = cache_model.CacheConfig()


def test_the_search_is_the_released_one() -> None:
    axes = cache_model.space(cache_model.CacheConfig(beta_scale=12, alpha_scale=10)).logits
    assert list(axes) == ["beta", "alpha"]
    assert [len(values) for values in axes.values()] == [200, 20]
    assert axes["beta"][1] == pytest.approx(0.1 + (12 - 0.1) / 200)
    assert axes["alpha"][-1] == pytest.approx(0.1 + 19 * (10 - 0.1) / 20)


def test_trained_keys_that_are_no_cosines_are_not_interpolated() -> None:
    episode, test = synthetic.episode()
    m = compose.get("tip-adapter")
    state = m.fit(episode, m.config(), Generator())
    state["keys"] = 2 * state["keys"]
    axes = {"beta": [0.1 + i * 0.06 for i in range(200)]}
    for choice, logits in cache_model.logits_over(state, m.config(), test.x, axes):
        wanted = m.logits(state, m.config(**choice), test.x)
        torch.testing.assert_close(logits, wanted)


def test_its_parts_are_those_of_the_equation() -> None:
    episode = make_episode((4, 2, 3, 5), views=2)
    state = cache_model.start(episode)
    f, keys = (unit(x).double().numpy() for x in (queries(), episode.support.views.mean(0)))
    text, one_hot = episode.text.unit().double().numpy(), np.eye(4)[episode.support.labels.numpy()]
    near = cache_model.nearness(state, unit(queries()))
    np.testing.assert_allclose(near, keys @ f.T - 1, atol=1e-6)
    by_text = cache_model.from_text(state, unit(queries()))
    np.testing.assert_allclose(by_text, 100 * f @ text.T, rtol=1e-4, atol=1e-4)
    counted = alike(episode.support.labels).numpy()[:, None]
    cache = np.exp(-3 * (1 - f @ keys.T)) @ (counted * one_hot)
    np.testing.assert_allclose(cache_model.from_cache(state, near, 3.0), cache, rtol=1e-4)
    found = cache_model.blend(state, 0.7, 3.0, unit(queries()))
    np.testing.assert_allclose(found, 100 * f @ text.T + 0.7 * cache, rtol=1e-4, atol=1e-4)


def test_the_whole_search_is_the_logits_at_each_choice() -> None:
    episode = make_episode((4, 2, 3, 5))
    state, axes = cache_model.start(episode), cache_model.space(CONFIG).logits
    found = list(cache_model.logits_over(state, CONFIG, queries(), axes))
    assert len(found) == 4000
    for choice, logits in found[::173]:
        wanted = cache_model.blend(state, choice["alpha"], choice["beta"], unit(queries()))
        torch.testing.assert_close(logits, wanted, atol=1e-3, rtol=1e-5)


def test_an_axis_left_out_keeps_the_configs_value() -> None:
    state, config = cache_model.start(make_episode()), cache_model.CacheConfig(alpha=3.0, beta=2.0)
    [(choice, found)] = cache_model.logits_over(state, config, queries(), {})
    assert choice == {}
    torch.testing.assert_close(found, cache_model.logits(state, config, queries()))


@pytest.mark.parametrize(("length", "interpolated"), [(1.0, True), (2.0, False)])
def test_only_what_is_near_to_cosines_is_interpolated(
    length: float, interpolated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    whole = cache_model.from_cache

    def counted(state: dict[str, Tensor], near: Tensor, beta: float) -> Tensor:
        asked.append(beta)
        return whole(state, near, beta)

    monkeypatch.setattr(cache_model, "from_cache", counted)
    episode = make_episode()
    state, axes = cache_model.start(episode), {"beta": cache_model.space(CONFIG).logits["beta"]}
    state["keys"] = length * state["keys"]
    x = episode.support.x  # its own keys are as near as can be
    assert len(list(cache_model.logits_over(state, CONFIG, x, axes))) == 200
    assert (len(asked) < 40) == interpolated
