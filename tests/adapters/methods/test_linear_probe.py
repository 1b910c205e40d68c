"""The linear probe: scikit-learn's own answer, and two classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Generator

from adapters.episode import Episode, Text
from adapters.methods.linear_probe import method
from featcache.errors import MethodError
from tests.adapters import synthetic
from tests.adapters.methods import settings


def two_classes(e: Episode) -> Episode:
    few = e.support.labels < 2
    support = replace(e.support, views=e.support.views[:, few], labels=e.support.labels[few])
    text = Text(e.text.prompts[:2], e.text.mask[:2], e.text.classnames[:2])
    return replace(e, support=support, text=text)


def test_settings() -> None:
    settings.check(
        "linear-probe",
        {
            "C": (0.316, "(0, inf)"),
            "iterations": (1000, "[1, inf)"),
        },
    )


def test_probabilities_are_scikit_learns() -> None:
    several, test = synthetic.episode()
    for episode in (several, two_classes(several)):
        config = method.config(C=0.1)
        state = method.fit(episode, config, Generator())
        model = LogisticRegression(C=0.1, max_iter=1000)
        model.fit(episode.support.x.numpy(), episode.support.labels.numpy())
        found = method.logits(state, config, test.x).softmax(1).numpy()
        np.testing.assert_allclose(found, model.predict_proba(test.x.numpy()), atol=1e-5)


def test_the_gradient_of_the_penalised_loss_is_zero() -> None:
    episode, _ = synthetic.episode()
    state = method.fit(episode, method.config(C=0.1), Generator())
    w = state["weights"].double().requires_grad_()
    scores = episode.support.x.double() @ w.T + state["bias"].double()
    loss = torch.nn.functional.cross_entropy(scores, episode.support.labels, reduction="sum")
    (gradient,) = torch.autograd.grad(loss + w.square().sum() / (2 * 0.1), w)
    assert gradient.abs().max() < 0.05


def test_pictures_of_one_class_are_refused() -> None:
    episode, _ = synthetic.episode()
    one = replace(episode, support=episode.support.of(range(1)), text=episode.text.of(range(1)))
    with pytest.raises(MethodError, match="pictures of one alone; fit it on two classes or more"):
        method.fit(one, method.config(), Generator())
