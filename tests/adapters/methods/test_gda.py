"""GDA against NumPy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from adapters.methods import gda
from tests.adapters.episodes import generator, make_episode, queries, unit
from tests.adapters.methods import settings


def test_settings() -> None:
    settings.check("gda", {"alpha": (1.0, "[0, inf)")})


def test_equals_its_closed_form() -> None:
    episode = make_episode((4, 2, 3, 5), views=3)
    x = unit(episode.support.views).flatten(0, 1).double().numpy()
    y = episode.support.labels.repeat(3).numpy()
    mu = np.stack([x[y == c].mean(0) for c in range(4)])
    s = np.cov((x - mu[y]).T)
    n, d = x.shape
    p = d * np.linalg.pinv((n - 1) * s + np.trace(s) * np.eye(d))
    f = unit(queries()).double().numpy()
    gauss = f @ p @ mu.T + np.log(1 / 4) - np.diag(mu @ p @ mu.T) / 2
    wanted = 100 * f @ episode.text.unit().double().numpy().T + 0.1 * gauss
    config = gda.Config(alpha=0.1)
    state = gda.fit(episode, config, generator())
    np.testing.assert_allclose(gda.logits(state, config, queries()), wanted, rtol=1e-3, atol=1e-3)


def test_orders_queries_as_discriminant_analysis_does() -> None:
    """With many pictures the shrinkage fades and scikit-learn's decisions are ours."""
    episode = make_episode((500, 500, 500, 500), width=8, prompts=(1, 1, 1, 1))
    x, y = unit(episode.support.x), episode.support.labels
    reference = LinearDiscriminantAnalysis(solver="lsqr", priors=[0.25] * 4).fit(x, y)
    config = gda.Config(alpha=1e6)
    state = gda.fit(episode, config, generator())
    ours = gda.logits(state, config, queries(400, 8)).argmax(1)
    agreed = (ours.numpy() == reference.predict(unit(queries(400, 8)))).mean()
    assert agreed > 0.98


@pytest.mark.parametrize("views", [1, 2])
def test_one_shot_is_not_zero_shot(views: int) -> None:
    episode = make_episode((1, 1, 1, 1), views)
    state = gda.fit(episode, gda.Config(), generator())
    assert state["weights"].isfinite().all()
    centred = unit(state["weights"]) if views == 1 else None
    if centred is not None:  # isotropic: the weights point where the pictures do
        torch.testing.assert_close(centred, unit(episode.support.x))
