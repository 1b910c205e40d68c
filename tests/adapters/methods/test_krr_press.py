"""Krr-press: PRESS is what refits say, tau and ridge do what they say, the primal is linear."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from sklearn.linear_model import Ridge
from torch import Tensor

from adapters.compose import get
from adapters.methods import krr_press, proker
from adapters.selection import select
from tests.adapters.episodes import alike, generator, make_episode, queries, unit
from tests.adapters.methods import settings


def test_settings() -> None:
    settings.check(
        "krr-press",
        {
            "tau": (1.0, "(0, inf)"),
            "beta": (1.0, "(0, inf)"),
            "ridge": (0.1, "(0, inf)"),
            "by": ("press", ("press", "evidence", "policy")),
            "exact_rows": (4000, "[1, inf)"),
        },
        {
            "strong": {"tau": 10.0},
            "fixed": {"tau": 10.0, "beta": 1.0, "ridge": 0.1, "by": "policy"},
            "evidence": {"by": "evidence"},
        },
    )


def scores(config: krr_press.Config, counts: tuple[int, ...] = (4, 2, 3, 5)) -> Tensor:
    state = krr_press.fit(make_episode(counts), config, generator())
    return krr_press.logits(state, config, queries())


def test_at_tau_one_it_is_proker_of_the_same_settings() -> None:
    config = krr_press.Config(by="policy", beta=2.0, ridge=0.3)
    same = proker.Config(beta=2.0, lambda_=1 / 0.3)
    state = proker.fit(make_episode((4, 2, 3, 5)), same, generator())
    wanted = proker.logits(state, same, queries())
    torch.testing.assert_close(scores(config), wanted, rtol=1e-3, atol=1e-2)


def test_without_a_correction_it_is_zero_shot() -> None:
    config = krr_press.Config(by="policy", ridge=1e9)
    wanted = 100 * unit(queries()) @ make_episode().text.unit().T
    torch.testing.assert_close(scores(config, (3, 3, 3, 3)), wanted)


@pytest.mark.parametrize("exact_rows", [4000, 1])
@pytest.mark.parametrize("counts", [(3, 3, 3, 3), (1, 1, 1, 1), (4, 1, 2, 3)])
def test_the_least_press_is_taken_and_is_what_refits_say(
    exact_rows: int, counts: tuple[int, ...]
) -> None:
    config = krr_press.Config(exact_rows=exact_rows, by="press")
    episode = make_episode(counts)
    state = krr_press.fit(episode, config, generator())
    betas = krr_press.BETAS if exact_rows > 1 else (config.beta,)
    tried = {
        (beta, ridge): krr_press._off(
            episode, krr_press._path(episode, config, beta), ridge, "press"
        )
        for beta in betas
        for ridge in krr_press.RIDGES
    }
    best = min(tried, key=lambda key: tried[key])
    assert (float(state["beta"]), float(state["ridge"])) == pytest.approx(best)


@pytest.mark.parametrize("counts", [(4, 2, 3, 5), (4, 1, 3, 5)])
def test_the_linear_one_is_ridge_regression_and_its_press_is_that_of_refits(
    counts: tuple[int, ...],
) -> None:
    episode = make_episode(counts)
    config = krr_press.Config(by="policy", ridge=0.3, exact_rows=1)
    x, text = unit(episode.support.x), episode.text.unit()
    wanted = episode.support.one_hot(4) - x @ text.T
    counted = alike(episode.support.labels)
    reference = Ridge(alpha=0.3).fit(x, wanted, counted)
    f = unit(queries())
    expected = 100 * (f @ text.T + torch.from_numpy(reference.predict(f)).float())
    torch.testing.assert_close(scores(config, counts), expected, rtol=1e-3, atol=1e-2)
    errors = []
    several = (episode.support.labels.bincount()[episode.support.labels] > 1).nonzero()[:, 0]
    for i in several.tolist():
        kept = torch.arange(len(x)) != i
        refit = Ridge(alpha=0.3).fit(x[kept], wanted[kept], counted[kept])
        error = torch.from_numpy(refit.predict(x[i : i + 1])) - wanted[i]
        errors.append(float(counted[i] * error.square().sum()))
    found = krr_press._off(episode, krr_press._path(episode, config, 1.0), 0.3, "press")
    assert found == pytest.approx(sum(errors) / len(several) / 4, rel=1e-2)


def test_evidence_and_policies_choose_too() -> None:
    episode = make_episode((3, 3, 3, 3))
    by = krr_press.Config(by="evidence")
    assert float(krr_press.fit(episode, by, generator())["ridge"]) > 0
    m, config = get("krr-press"), krr_press.Config(by="policy")
    assert m.left_out is not None
    found = select(m, episode, config, None)
    assert found.config == config
    errors = {
        choice["ridge"]: off for choice, off in m.left_out(episode, config, m.space(config).logits)
    }
    assert [*errors] == [*krr_press.RIDGES]
    assert min(errors.values()) > 0
    assert m.space(replace(config, by="press")).logits == {}


@pytest.mark.parametrize("exact_rows", [4000, 1])
def test_evidence_is_that_of_the_process(exact_rows: int) -> None:
    """The marginal likelihood of the rows, at the scale of it that is most likely."""
    episode = make_episode((3, 3, 3, 3))
    config = krr_press.Config(exact_rows=exact_rows)
    x = unit(episode.support.x).double()
    wanted = episode.support.one_hot(4).double() - x @ episode.text.unit().double().T
    if exact_rows == 1:
        x, wanted = x - x.mean(0), wanted - wanted.mean(0)
        kernel = x @ x.T
    else:
        kernel = (2.0 * (x @ x.T - 1)).exp()
    for ridge in (0.1, 3.0):
        covariance = kernel + ridge * torch.eye(12).double()
        explained = (wanted * torch.linalg.solve(covariance, wanted)).sum()
        expected = (12 * 4 * explained.log() + 4 * torch.linalg.slogdet(covariance)[1]) / 2
        path = krr_press._path(episode, config, 2.0)
        assert krr_press._off(episode, path, ridge, "evidence") == pytest.approx(
            float(expected), rel=1e-3
        )
