"""The flow in closed form: scikit-learn's kernel ridge, its landmarks, and the trained network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics.pairwise import rbf_kernel
from torch import Generator, Tensor
from torch.nn.functional import normalize

from adapters.compose import get
from adapters.configure import configure
from adapters.maths import closed_flow
from tests.adapters import synthetic

BETA, RIDGE = 1.5, 0.02


def pairs(rows: int = 40) -> tuple[Tensor, Tensor]:
    g = Generator().manual_seed(0)
    x0, ends = torch.randn(rows, 6, generator=g), torch.randn(4, 6, generator=g)
    return normalize(x0, dim=1), normalize(ends, dim=1)[torch.arange(rows) % 4]


def flow(landmarks: int) -> dict[str, Tensor]:
    return closed_flow.fit(*pairs(), BETA, RIDGE, landmarks, Generator().manual_seed(1))


@pytest.mark.parametrize("i", range(10))
def test_each_velocity_is_kernel_ridge(i: int) -> None:
    x0, x1 = pairs()
    x = (1 - i / 10) * x0 + i / 10 * x1
    wanted = KernelRidge(kernel="rbf", gamma=BETA / 2, alpha=RIDGE).fit(x, x1 - x0)
    queries = x + 0.1 * torch.randn(x.shape, generator=Generator().manual_seed(2))
    found = closed_flow.velocity(flow(landmarks=40), queries, i)
    torch.testing.assert_close(
        found, torch.from_numpy(wanted.predict(queries)).float(), atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize("i", [0, 5, 9])
def test_landmarks_solve_the_equations_of_their_span(i: int) -> None:
    """(K_mn K_nm + ridge K_mm) A = K_mn V, in float64."""
    x0, x1 = (x.double().numpy() for x in pairs())
    few = flow(landmarks=10)
    x = (1 - i / 10) * x0 + i / 10 * x1
    start, end = few["start"].double().numpy(), few["end"].double().numpy()
    centres = (1 - i / 10) * start + i / 10 * end
    across = rbf_kernel(x, centres, gamma=BETA / 2)
    own = rbf_kernel(centres, centres, gamma=BETA / 2)
    weights = np.linalg.solve(across.T @ across + RIDGE * own, across.T @ (x1 - x0))
    found = closed_flow.velocity(few, torch.from_numpy(x).float(), i)
    np.testing.assert_allclose(found.numpy(), across @ weights, atol=1e-3)


@pytest.mark.parametrize("band", [3, 10, 99])
def test_bands_make_the_whole_lower_half(band: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closed_flow, "BAND", band)
    phi = torch.randn(10, 7, generator=Generator().manual_seed(0))
    torch.testing.assert_close(closed_flow._gram(phi).tril(), (phi @ phi.T).tril())


def test_landmarks_are_pairs() -> None:
    x0, x1 = pairs()
    few = flow(landmarks=10)
    rows = torch.cdist(few["start"], x0).argmin(1)
    assert len(rows.unique()) == 10
    assert torch.equal(few["end"], x1[rows])
    assert few["weights"].shape == (10, 10, 6)


def test_the_trained_network_says_the_same() -> None:
    """Two ways to one regression, checked against each other over the first half of the way."""
    fma = get("fma")
    episode, test = synthetic.episode()
    accuracies = []
    for settings in ({"solver": "closed-form"}, {"width": 64, "steps": 300}):
        config, _ = configure("fma", fma, settings)
        state = fma.fit(episode, config, Generator().manual_seed(0))
        scores = fma.scores(state, config, test.x, {"inference_steps": range(6)})
        hits = [(logits.argmax(1) == test.labels).double().mean() for _, logits in scores]
        accuracies.append(torch.stack(hits))
    solved, trained = accuracies
    assert (solved - trained).abs().max() < 0.1
    assert trained[-1] > trained[0] + 0.3  # there is something to agree on


def test_the_ensemble_is_the_mean_probability_before_three_steps() -> None:
    fma = get("fma")
    episode, test = synthetic.episode()
    config = fma.config(solver="closed-form", readout="ensemble")
    state = fma.fit(episode, config, Generator())
    found = fma.logits(state, config, test.x).exp()
    steps = [fma.config(solver="closed-form", inference_steps=m) for m in (0, 4, 8)]
    wanted = sum(fma.logits(state, c, test.x).softmax(1) for c in steps) / 3
    torch.testing.assert_close(found, wanted)
