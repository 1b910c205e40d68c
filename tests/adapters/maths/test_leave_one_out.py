"""Leave-one-out: PRESS is what refits say, and the temperature is the best there is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Generator, Tensor
from torch.nn.functional import cross_entropy, normalize

from adapters.maths import kernels
from adapters.maths.leave_one_out import SMOOTHING, counting, least, losses, press

LAMBDA, BETA = 3.0, 1.5


def rows(n: int, d: int, seed: int = 0) -> Tensor:
    return torch.randn(n, d, generator=Generator().manual_seed(seed), dtype=torch.float64)


def loss(logits: Tensor, labels: Tensor) -> Tensor:
    return cross_entropy(logits, labels, label_smoothing=SMOOTHING)


def onto(y: Tensor) -> Callable[[Tensor, slice], Tensor]:
    return lambda basis, rows: basis.T @ y[rows]


@pytest.mark.parametrize(("views", "weighted"), [(1, False), (3, False), (1, True), (2, True)])
def test_press_is_what_refits_without_a_picture_say(views: int, weighted: bool) -> None:
    n = 7
    x, y = normalize(rows(views * n, 5), dim=-1), rows(views * n, 3, 1)
    weights = (torch.arange(n) % 3 + 1).double().repeat(views) if weighted else None
    path = kernels.ridge(x, onto(y), BETA, 100, 100, Generator(), weights)
    parts = path["basis"], path["spectrum"], path["moments"]
    errors = []
    for i in range(n):
        kept = torch.arange(views * n) % n != i
        less = None if weights is None else weights[kept]
        refit = kernels.ridge(x[kept], onto(y[kept]), BETA, 100, 100, Generator(), less)
        at = kernels.coordinates(refit, x[~kept], BETA)
        error = (y[~kept] - kernels.predict(refit, at, LAMBDA)).square()
        errors.append(error if weights is None else error * weights[~kept, None])
    found = press(*parts, 1 / LAMBDA, n, weights)
    assert found == pytest.approx(float(torch.stack(errors).mean()), rel=1e-9)


@pytest.mark.parametrize("scale", [0.2, 1.0, 70.0])
def test_the_scale_of_logits_does_not_matter(scale: float) -> None:
    labels = torch.arange(40) % 4
    logits = torch.eye(4)[labels] + rows(40, 4).float()
    found = float(least(losses(scale * logits, labels))) / 40
    fine = torch.logspace(-2, 2, 2000)
    best = min(float(loss(s * logits, labels)) for s in fine)
    assert found == pytest.approx(best, abs=5e-3)


def test_losses_are_the_cross_entropy_and_add_up() -> None:
    labels = torch.arange(6) % 3
    logits = rows(6, 3).float()
    whole = losses(logits, labels)
    torch.testing.assert_close(
        whole, losses(logits[:2], labels[:2]) + losses(logits[2:], labels[2:])
    )
    assert float(whole[24]) == pytest.approx(6 * float(loss(logits, labels)), rel=1e-5)


def test_what_is_told_apart_better_is_better_though_no_error_is_left() -> None:
    labels = torch.arange(40) % 4
    clear = torch.eye(4)[labels]
    for noise in (0.1, 0.15):
        vague = clear + noise * rows(40, 4).float()
        assert bool((vague.argmax(1) == labels).all())
        sums = least(losses(torch.stack([100 * clear, vague]), labels))
        assert float(sums[0]) < float(sums[1])


def test_logits_that_only_mislead_are_worth_no_scale_at_all() -> None:
    sums = losses(-torch.eye(3), torch.arange(3))
    assert float(least(sums)) == float(sums[0])


def test_the_only_picture_of_a_class_counts_where_no_class_has_two() -> None:
    """Left out it tells of the text, which at one shot is all there is to tell of."""
    labels, weights = torch.tensor([0, 1, 0, 2, 0]), torch.tensor([1.0, 2.0, 1.0, 2.0, 3.0])
    several = torch.tensor([5.0, 0.0, 5.0, 0.0, 5.0]) / 3
    found, weighted = counting(labels), counting(labels, weights)
    assert found is not None
    assert weighted is not None
    torch.testing.assert_close(found.float(), several)
    torch.testing.assert_close(weighted.float(), several * weights)
    error = rows(5, 1).square()[:, 0]
    assert float((error * found).mean()) == pytest.approx(float(error[labels == 0].mean()))
    for same in (torch.arange(4), torch.tensor([1, 0, 0, 1])):
        assert counting(same) is None
        assert counting(same, weights) is weights
