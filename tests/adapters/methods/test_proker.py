"""ProKeR against scikit-learn's kernel ridge, and Nyström against the exact solution."""

from __future__ import annotations

import pytest
import torch
from sklearn.kernel_ridge import KernelRidge

from adapters.methods import proker
from tests.adapters.episodes import alike, generator, make_episode, queries, unit
from tests.adapters.methods import settings


def test_settings() -> None:
    settings.check(
        "proker",
        {
            "beta": (1.0, "(0, inf)"),
            "lambda_": (0.1, "(0, inf)"),
            "views": (1, "[1, inf)"),
            "exact_rows": (3200, "[1, inf)"),
            "landmarks": (1000, "[1, inf)"),
            "beta_from": (0.01, "(0, inf)"),
            "beta_to": (10.0, "(0, inf)"),
            "betas": (10, "[1, inf)"),
            "lambda_from": (0.001, "(0, inf)"),
            "lambda_to": (100.0, "(0, inf)"),
            "lambdas": (16, "[1, inf)"),
            "spacing": ("log", ("even", "log")),
        },
        {
            "eurosat": {
                "beta_from": 0.5,
                "beta_to": 3,
                "betas": 20,
                "lambda_from": 0.001,
                "lambda_to": 1,
                "lambdas": 100,
                "spacing": "even",
            },
            "imagenet": {
                "beta_from": 1.5,
                "beta_to": 3,
                "betas": 10,
                "lambda_from": 0.05,
                "lambda_to": 0.25,
                "lambdas": 10,
                "spacing": "even",
            },
            "caltech": {
                "beta_from": 0.5,
                "beta_to": 3,
                "betas": 20,
                "lambda_from": 0.001,
                "lambda_to": 1,
                "lambdas": 10,
                "spacing": "even",
            },
            "dtd": {
                "beta_from": 0.1,
                "beta_to": 10,
                "betas": 20,
                "lambda_from": 0.001,
                "lambda_to": 10,
                "lambdas": 100,
                "spacing": "even",
            },
            "pets": {
                "beta_from": 0.01,
                "beta_to": 5,
                "betas": 40,
                "lambda_from": 0.01,
                "lambda_to": 0.3,
                "lambdas": 20,
                "spacing": "even",
            },
            "cars": {
                "beta_from": 0.1,
                "beta_to": 10,
                "betas": 5,
                "lambda_from": 0.01,
                "lambda_to": 1,
                "lambdas": 5,
                "spacing": "even",
            },
            "sun": {
                "beta_from": 0.1,
                "beta_to": 10,
                "betas": 20,
                "lambda_from": 0.01,
                "lambda_to": 10,
                "lambdas": 10,
                "spacing": "even",
            },
        },
    )


@pytest.mark.parametrize("views", [1, 3])
def test_equals_kernel_ridge(views: int) -> None:
    episode = make_episode((4, 2, 3, 5), views=3)
    config = proker.Config(beta=2.0, lambda_=0.3, views=views)
    x = unit(episode.support.views[:views]).flatten(0, 1)
    text = episode.text.unit()
    wanted = torch.eye(4)[episode.support.labels].repeat(views, 1) - x @ text.T
    # exp(-beta (1 - x z)) is the Gaussian kernel exp(-beta/2 |x - z|^2) of unit vectors.
    counted = alike(episode.support.labels).repeat(views).numpy()
    reference = KernelRidge(alpha=1 / 0.3, kernel="rbf", gamma=1.0).fit(x, wanted, counted)
    f = unit(queries())
    expected = 100 * (f @ text.T + torch.from_numpy(reference.predict(f)).float())
    state = proker.fit(episode, config, generator())
    torch.testing.assert_close(
        proker.logits(state, config, queries()), expected, rtol=1e-3, atol=1e-2
    )


def test_nystrom_with_every_row_is_exact() -> None:
    episode = make_episode((9, 9, 9, 9))
    exact = proker.Config()
    nystrom = proker.Config(exact_rows=1, landmarks=36)
    scores = [
        proker.logits(proker.fit(episode, config, generator()), config, queries())
        for config in (exact, nystrom)
    ]
    torch.testing.assert_close(*scores, rtol=1e-2, atol=5e-2)


def test_nystrom_keeps_no_more_than_its_landmarks() -> None:
    config = proker.Config(exact_rows=10, landmarks=5)
    state = proker.fit(make_episode(), config, generator())
    assert state["keys"].shape == (5, 16)
    assert proker.logits(state, config, queries()).isfinite().all()


def test_no_ridge_left_is_zero_shot() -> None:
    episode = make_episode()
    config = proker.Config(lambda_=1e-9)
    state = proker.fit(episode, config, generator())
    wanted = 100 * unit(queries()) @ episode.text.unit().T
    torch.testing.assert_close(proker.logits(state, config, queries()), wanted)
