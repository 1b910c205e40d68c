"""What confidence is worth, against definitions spelt out and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss, roc_auc_score

from adapters.confidence.measures import (
    BINS,
    COVERAGES,
    Confidence,
    Scored,
    auroc,
    confidence,
    energy,
    scored,
)


def made(n: int, classes: int = 4, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(n, classes, generator=rng)
    return logits, torch.multinomial(logits.softmax(1), 1, generator=rng)[:, 0]


def measured(
    logits: torch.Tensor, labels: torch.Tensor, temperature: float = 1.0
) -> Confidence | None:
    return confidence(scored(logits, labels, temperature), labels)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_against_definitions_spelt_out(temperature: float) -> None:
    logits, labels = made(200)
    p = (logits / temperature).double().softmax(1)
    found = measured(logits, labels, temperature)
    assert found is not None
    assert found.nll == pytest.approx(log_loss(labels, p, labels=range(4)), rel=1e-5)
    best, guess = p.max(1)
    right = (guess == labels).double()
    total = 0.0
    for i in range(BINS):
        within = (best > i / BINS) & (best <= (i + 1) / BINS)
        if within.any():
            share = within.double().mean()
            total += float(share * (right[within].mean() - best[within].mean()).abs())
    assert found.ece == pytest.approx(100 * total, rel=1e-4)
    order = best.argsort(descending=True)
    assert found.selective_80 == pytest.approx(100 * float(right[order[:160]].mean()))
    assert found.selective_90 == pytest.approx(100 * float(right[order[:180]].mean()))
    assert sum(n for n, _, _ in found.bins) == 200
    assert len(found.curve) == len(COVERAGES)
    assert found.curve[-1] == pytest.approx(100 * float(right.mean()))


def test_probabilities_that_hold_have_a_small_error_and_others_a_large_one() -> None:
    logits, labels = made(20_000)
    errors = [measured(factor * logits, labels) for factor in (1, 3, 0.3)]
    good, over, under = (each.ece for each in errors if each is not None)
    assert good < 2
    assert min(over, under) > 5


def test_equals_share_what_is_right_among_them() -> None:
    """Whatever their order: half of pictures of one confidence are right at every coverage."""
    logits = torch.tensor([[2.0, 0.0]]).repeat(10, 1)
    for labels in (torch.arange(10) < 5, torch.arange(10) >= 5):
        found = measured(logits, labels.long())
        assert found is not None
        assert found.selective_80 == pytest.approx(50)


@given(st.integers(0, 99), st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_what_is_measured_in_portions_is_bit_by_bit_what_is_measured_at_once(
    seed: int, sizes: list[int]
) -> None:
    g = torch.Generator().manual_seed(seed)
    logits, labels = torch.randn(sum(sizes), 7, generator=g), torch.arange(sum(sizes)) % 7
    parts = zip(logits.split(sizes), labels.split(sizes), strict=True)
    found = Scored(*map(torch.cat, zip(*(scored(*part, 0.3) for part in parts), strict=True)))
    assert confidence(found, labels) == measured(logits, labels, 0.3)
    assert torch.equal(found.total, (logits / 0.3).logsumexp(1))


def test_no_pictures_have_no_confidence() -> None:
    assert measured(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long)) is None


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1), st.lists(st.integers(0, 5), min_size=1))
def test_known_against_unknown_is_the_area_under_the_curve(a: list[int], b: list[int]) -> None:
    truth = np.r_[np.ones(len(a)), np.zeros(len(b))]
    found = auroc(torch.tensor(a).float(), torch.tensor(b).float())
    assert found == pytest.approx(100 * roc_auc_score(truth, a + b))


def test_energy_ranks_what_no_class_fits_lowest() -> None:
    assert energy(torch.tensor([[5.0, 0.0], [5.0, 5.0], [0.0, 0.0]])).argsort().tolist() == [
        2,
        0,
        1,
    ]
