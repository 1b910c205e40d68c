"""HOSO-Adapter: the ratio moves by what is held out, and stays where nothing can be."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from adapters.methods import hoso_adapter
from tests.adapters.episodes import generator, make_episode, queries, unit
from tests.adapters.methods import settings

QUICK = hoso_adapter.Config(steps=30)


def test_settings() -> None:
    settings.check(
        "hoso-adapter",
        {
            "start": (0.2, "(0, 1)"),
            "refit": (True, (True, False)),
            "hidden": (0, "[0, inf)"),
            "batch": (2048, "[0, inf)"),
            "steps": (300, "[0, inf)"),
            "learning_rate": (1e-3, "(0, inf)"),
            "ratio_rate": (0.05, "(0, inf)"),
            "eps": (1e-4, "(0, inf)"),
        },
    )


def test_one_picture_a_class_leaves_the_ratio_where_it_starts() -> None:
    state = hoso_adapter.fit(make_episode((1, 1, 1, 1)), QUICK, generator())
    assert float(state["ratio"]) == pytest.approx(0.2)
    moved = hoso_adapter.fit(make_episode((2, 1, 1, 1)), QUICK, generator())
    assert float(moved["ratio"]) != pytest.approx(0.2)


def test_the_held_out_shot_decides_the_ratio() -> None:
    """With its labels turned round the ratio is another, though the rest is as it was."""
    episode = make_episode((4, 4, 4, 4))
    labels = episode.support.labels.clone()
    labels[::4] = (labels[::4] + 2) % 4
    turned = replace(episode.support, labels=labels)
    first = torch.arange(16) % 4 == 0
    order = torch.cat([torch.arange(16)[first], torch.arange(16)[~first]])
    turned = replace(turned, views=turned.views[:, order], labels=labels[order])
    ratios = [
        float(hoso_adapter.fit(replace(episode, support=s), QUICK, generator())["ratio"])
        for s in (episode.support, turned)
    ]
    assert ratios[0] != pytest.approx(ratios[1], abs=0.05)


def test_no_step_is_a_blend_of_random_maps_and_refit_is_a_choice() -> None:
    episode = make_episode()
    states = [
        hoso_adapter.fit(episode, replace(QUICK, refit=refit), generator())
        for refit in (True, False)
    ]
    assert torch.equal(states[0]["ratio"], states[1]["ratio"])
    assert not torch.equal(states[0]["down"], states[1]["down"])
    little = replace(QUICK, start=1e-6, steps=0)
    state = hoso_adapter.fit(episode, little, generator())
    wanted = 100 * unit(queries()) @ episode.text.unit().T
    torch.testing.assert_close(
        hoso_adapter.logits(state, little, queries()), wanted, atol=1e-2, rtol=1e-3
    )
