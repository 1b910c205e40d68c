"""The nearest class mean against scikit-learn, and its two ends."""

from __future__ import annotations

import torch
from sklearn.neighbors import NearestCentroid

from adapters.configure import configure
from adapters.methods import ncm, zero_shot
from tests.adapters.episodes import generator, make_episode, queries, unit
from tests.adapters.methods import settings


def test_settings() -> None:
    settings.check(
        "ncm",
        {
            "mix": (1.0, "[0, 1]"),
            "search": (False, (False, True)),
        },
        {"half": {"mix": 0.5}, "mixed": {"search": True}},
    )


def test_equals_the_nearest_centroid_of_unit_means() -> None:
    episode = make_episode((4, 2, 3, 5), views=3)
    state = ncm.fit(episode, ncm.Config(), generator())
    reference = NearestCentroid().fit(state["means"], torch.arange(4))
    ours = ncm.method.logits(state, ncm.Config(), queries(50)).argmax(1)
    assert ours.tolist() == reference.predict(unit(queries(50))).tolist()
    keys = unit(episode.support.views.mean(0))
    torch.testing.assert_close(state["means"][0], unit(keys[:4].mean(0)))


def test_without_pictures_it_is_zero_shot() -> None:
    episode = make_episode()
    state = ncm.fit(episode, ncm.Config(), generator())
    text = zero_shot.fit(episode, zero_shot.Config(), generator())
    torch.testing.assert_close(
        ncm.method.logits(state, ncm.Config(mix=0), queries()),
        zero_shot.logits(text, zero_shot.Config(), queries()),
    )


def test_the_mix_is_searched_only_on_demand() -> None:
    assert not ncm.space(ncm.Config()).logits
    config, _ = configure("ncm", ncm.method, {"preset": "mixed"})
    assert {0.0, 0.5, 1.0} <= set(ncm.space(config).logits["mix"])
