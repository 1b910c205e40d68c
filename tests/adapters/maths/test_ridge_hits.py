"""Hits of a ridge regression over many ridges against those of every product."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor

from adapters.maths import kernels, ridge_hits
from adapters.maths.winners import hits

Problem = tuple[Tensor, Tensor, dict[str, Tensor], Tensor]


def problem(seed: int, pictures: int = 60, m: int = 20, classes: int = 7) -> Problem:
    """Text, coordinates, a regression and labels, of scores that are close to each other."""
    g = Generator().manual_seed(seed)
    spectrum = torch.logspace(-3, 3, m)
    at = torch.randn(pictures, m, generator=g)
    moments = torch.randn(m, classes, generator=g) * spectrum.sqrt()[:, None]
    text = 0.3 * torch.randn(pictures, classes, generator=g)
    labels = torch.randint(classes, (pictures,), generator=g)
    return text, at, {"spectrum": spectrum, "moments": moments + 5}, labels


def plainly(found: Problem, lambdas: list[float]) -> list[int | Tensor]:
    text, at, path, labels = found
    return [hits(text + kernels.predict(path, at, each), labels) for each in lambdas]


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 999),
    lambdas=st.lists(st.floats(1e-3, 1e2), min_size=1, max_size=30, unique=True),
)
def test_they_are_those_of_every_product(seed: int, lambdas: list[float]) -> None:
    text, at, path, labels = found = problem(seed)
    assert ridge_hits.counter(path, lambdas)(text, at, labels) == plainly(found, lambdas)


@pytest.mark.parametrize("lambdas", [(0.05, 0.25, 10), (0.001, 10, 100)])
def test_most_products_are_not_taken(
    lambdas: tuple[float, float, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of texts that tell the classes apart, as most pictures' scores do."""
    text, at, path, labels = found = problem(3, pictures=500)
    text += 3 * torch.eye(7)[torch.where(torch.arange(500) < 400, labels, 6 - labels)]
    values = torch.linspace(*lambdas).tolist()
    wanted, rows = plainly(found, values), list[int]()

    def counted(path: dict[str, Tensor], at: Tensor, lambda_: float) -> Tensor:
        rows.append(len(at))
        return kernels.predict(path, at, lambda_)

    monkeypatch.setattr(ridge_hits, "predict", counted)
    assert ridge_hits.counter(path, values)(text, at, labels) == wanted
    assert 0 < wanted[0] < 500
    assert sum(rows) < 0.6 * 500 * len(values)


def test_what_other_scores_are_off_by_is_at_most_what_is_said() -> None:
    text, at, path, _ = problem(5)
    seen, others = (1 / torch.tensor(some).double() for some in ([0.1, 0.5, 2.0], [0.2, 1.0]))
    sums = ridge_hits._sums(path, seen, others)
    scores = torch.stack([text, *(text + kernels.predict(path, at, 1 / float(r)) for r in seen)])
    near = (at * sums.least).norm(dim=1)
    for r, by, away in zip(others, sums.weights, sums.away, strict=True):
        off = torch.einsum("k,kqc->qc", by, scores) - text - kernels.predict(path, at, 1 / float(r))
        most = off.amax(1) - off.amin(1)  # what is the same for all classes moves no winner
        assert (most <= away * near + 1e-4).all()
        assert most.max() > 0.01 * (away * near).max()


def test_scores_that_are_not_finite_hit_nothing() -> None:
    text, at, path, labels = found = problem(1)
    at[:20] = torch.nan
    text[20:30] = torch.inf
    values = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
    assert ridge_hits.counter(path, values)(text, at, labels) == plainly(found, values)


def test_ridges_that_are_seen_hold_both_ends() -> None:
    for lambdas in (torch.linspace(0.001, 10, 100), torch.logspace(2, -3, 16)):
        seen = ridge_hits._spread(1 / lambdas)
        assert {0, len(lambdas) - 1} <= {*seen}
        assert len(seen) < 0.7 * len(lambdas)
    assert ridge_hits._spread(torch.tensor([4.0])) == [0]
