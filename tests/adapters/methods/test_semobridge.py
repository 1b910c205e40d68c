"""SeMoBridge: an orthogonal bridge changes nothing, and training lowers what it minimises."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import normalize

from adapters.methods import ncm, semobridge
from featcache.errors import MethodError
from tests.adapters import synthetic
from tests.adapters.episodes import generator
from tests.adapters.methods import settings

EPISODE, TEST = synthetic.extended(*synthetic.episode())


def test_settings() -> None:
    settings.check(
        "semobridge",
        {
            "bridge": (1.0, "[0, inf)"),
            "query": (1.0, "[0, inf)"),
            "least": (0.3, "[0, inf)"),
            "trained": (False, (False, True)),
            "steps": (1000, "[0, inf)"),
            "learning_rate": (1.5e-4, "(0, inf)"),
            "weight_decay": (0.01, "[0, inf)"),
        },
        {"trained": {"trained": True}},
    )


def test_carried_pictures_lie_in_the_span_of_the_projection() -> None:
    config = semobridge.Config(least=1e-4)
    state = semobridge.fit(EPISODE, config, generator())
    w = state["projection"]
    onto = torch.linalg.pinv(w, atol=1e-4, rtol=0.0) @ w  # [d, d]
    x = EPISODE.support.keys()
    carried = semobridge._carried(x, state["back"], w)
    torch.testing.assert_close(carried, normalize(x @ onto, dim=-1), atol=1e-4, rtol=1e-3)


def test_the_query_alone_is_nearest_means_of_what_is_carried() -> None:
    """Without the bridge's weights it is the text."""
    config = semobridge.Config(bridge=0.0, query=0.0)
    state = semobridge.fit(EPISODE, semobridge.Config(least=0.0), generator())
    wanted = 100 * normalize(TEST.x, dim=-1) @ EPISODE.text.unit().T
    torch.testing.assert_close(semobridge.logits(state, config, TEST.x), wanted)
    means = ncm.fit(EPISODE, ncm.Config(), generator())["means"]
    torch.testing.assert_close(state["means"], means)


def test_training_tells_the_support_apart_better() -> None:
    quick = semobridge.Config(least=0.0, trained=True, steps=60, learning_rate=0.01)
    losses = []
    for config in (replace(quick, steps=0), quick):
        state = semobridge.fit(EPISODE, config, generator())
        scores = 100 * EPISODE.support.keys() @ state["carried"].T
        losses.append(float(torch.nn.functional.cross_entropy(scores, EPISODE.support.labels)))
    assert losses[1] < losses[0]


def test_what_is_missing_is_said() -> None:
    bare, _ = synthetic.episode()
    with pytest.raises(MethodError, match="--extra text-tower"):
        semobridge.fit(bare, semobridge.Config(), generator())
    with pytest.raises(MethodError, match="least=0"):
        semobridge.fit(EPISODE, semobridge.Config(least=1e6), generator())
