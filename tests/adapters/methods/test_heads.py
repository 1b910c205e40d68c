"""What linear heads from the class texts share: their start, scores, batches, schedule."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Generator
from torch.nn.functional import normalize

from adapters import compose
from adapters.methods import _heads as heads
from tests.adapters import synthetic

EPISODE, TEST = synthetic.episode(shots=4, views=3)
CONFIG = heads.HeadConfig(text_norm=7.0, batch=8, warm_up=1e-3)


def test_it_starts_at_texts_of_one_norm() -> None:
    start = heads.start(EPISODE, CONFIG)
    torch.testing.assert_close(start.norm(dim=1), torch.full((5,), 7.0))
    torch.testing.assert_close(normalize(start, dim=1), EPISODE.text.unit())


def test_scores_are_cosines_times_the_scale() -> None:
    weights = torch.randn(5, 16, generator=Generator().manual_seed(0))
    state = heads.state(EPISODE, weights)
    wanted = 100 * torch.cosine_similarity(TEST.x[:, None], weights, dim=2)
    found = heads.logits(state, CONFIG, TEST.x)
    torch.testing.assert_close(found, wanted, atol=1e-3, rtol=1e-5)
    torch.testing.assert_close(heads.logits(state, CONFIG, 3 * TEST.x), found)
    torch.testing.assert_close(heads.class_vectors(state, CONFIG), normalize(weights, dim=1))


def test_scores_and_their_slopes_are_those_of_unit_weights() -> None:
    """Whatever the lengths of the weights; of a weight that is zero, scores are."""
    g = Generator().manual_seed(1)
    lengths = torch.tensor([0.1, 1.0, 10.0, 300.0, 0.0], dtype=torch.float64)
    weights = (torch.randn(5, 16, generator=g).double() * lengths[:, None]).requires_grad_()
    f = normalize(torch.randn(9, 16, generator=g).double(), dim=1)
    kinds = heads.scores(100.0, f, weights), 100 * f @ normalize(weights, dim=1).T
    torch.testing.assert_close(*kinds)
    assert not kinds[0][:, 4].any()
    slopes = (torch.autograd.grad(each[:, :4].square().sum(), weights)[0] for each in kinds)
    torch.testing.assert_close(*slopes)


def test_an_epoch_shows_one_view_of_each_picture() -> None:
    found = list(heads.batches(EPISODE.support, CONFIG, 2, Generator().manual_seed(0)))
    assert [len(batch["rows"]) for batch in found] == [8, 8, 4] * 2
    assert torch.cat([batch["rows"] for batch in found[:3]]).sort().values.tolist() == [*range(20)]
    views = torch.cat([batch["views"] for batch in found])
    assert {*views.tolist()} == {0, 1, 2}
    data = heads.data(EPISODE.support)
    f, labels = heads.chosen(data, found[0])
    for i, (row, view) in enumerate(zip(found[0]["rows"], found[0]["views"], strict=True)):
        torch.testing.assert_close(f[i], normalize(EPISODE.support.views[view, row], dim=0))
        assert labels[i] == EPISODE.support.labels[row]


def test_the_rate_is_the_warm_ups_for_an_epoch_and_then_falls_once_an_epoch() -> None:
    """Three batches an epoch; factors are on the rate, the warm-up is a rate itself."""
    found = heads.schedule(EPISODE.support, CONFIG, 4, rate=0.1)
    fall = [1, (1 + math.cos(math.pi / 4)) / 2, 0.5]
    wanted = [factor for factor in (0.01, *fall) for _ in range(3)]
    assert found == pytest.approx(wanted)


def test_settings_of_heads_are_those_of_the_family() -> None:
    defaults = heads.HeadConfig()
    assert (defaults.text_norm, defaults.batch, defaults.warm_up) == (10.0, 256, 1e-5)


@pytest.mark.parametrize("name", ["zs-lp", "clap", "taskres"])
def test_targets_are_what_logits_compare_with(name: str) -> None:
    method = compose.get(name)
    config: Any = method.config(epochs=20)
    state = method.fit(EPISODE, config, Generator().manual_seed(0))
    assert method.class_vectors is not None
    f = normalize(TEST.x, dim=-1)
    expected = EPISODE.logit_scale * f @ method.class_vectors(state, config).T
    torch.testing.assert_close(method.logits(state, config, TEST.x), expected)


def test_of_a_large_support_fewer_whole_epochs_are_trained() -> None:
    """Three steps an epoch."""
    for most, wanted in ((0, 300), (900, 300), (899, 299), (7, 2), (1, 1)):
        config = heads.HeadConfig(batch=8, most_steps=most)
        assert heads.passes(EPISODE.support, config, 300) == wanted
