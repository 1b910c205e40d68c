"""How good an adapter is: counts by hand, and what seeds say together."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from adapters import evaluate
from adapters.evaluate import (
    Spread,
    accuracy,
    better,
    class_accuracy,
    harmonic_mean,
    hits,
    last,
    mean,
    spread,
)
from tests import frozen


@given(some.lists(some.floats(0, 100), min_size=1, max_size=9))
def test_spread_is_numpys(values: list[float]) -> None:
    found = spread(values)
    assert found.mean == pytest.approx(np.mean(values))
    if len(values) > 1:
        assert found.std == pytest.approx(np.std(values, ddof=1), abs=1e-9)
    else:
        assert math.isnan(found.std)


@given(some.floats(), some.floats(), some.sampled_from(["accuracy", "cross-entropy"]))
def test_no_score_beats_itself_and_what_is_no_number_none(
    one: float, other: float, criterion: str
) -> None:
    assert not better(criterion, one, one)
    assert not better(criterion, math.nan, one)
    assert not (better(criterion, one, other) and better(criterion, other, one))
    if not math.isnan(one) and not math.isnan(other):
        more = one > other if criterion == "accuracy" else one < other
        assert better(criterion, one, other) == more
    assert last(one) == (math.inf if math.isnan(one) else one)


def test_accuracies() -> None:
    logits = torch.tensor([[2.0, 1, 0], [0, 3, 1], [5, 0, 1], [0, 0, 1]])
    labels = torch.tensor([0, 1, 1, 2])
    assert accuracy(logits, labels) == 75.0
    assert hits(logits, labels) == 3
    assert class_accuracy(logits, labels).tolist() == [100.0, 50.0, 100.0]
    assert math.isnan(accuracy(logits[:0], labels[:0]))


def test_a_class_without_pictures_has_no_accuracy() -> None:
    logits = torch.tensor([[2.0, 1, 0, 0], [0, 3, 1, 0]])
    found = class_accuracy(logits, torch.tensor([0, 0]))
    assert found[0] == 50.0
    assert found[1:].isnan().all()
    assert found.shape == (4,)


@given(some.integers(0, 99), some.integers(1, 40), some.integers(1, 5))
def test_accuracy_is_the_mean_of_the_classes_by_their_pictures(
    seed: int, rows: int, classes: int
) -> None:
    g = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, classes, generator=g)
    labels = torch.randint(classes, (rows,), generator=g)
    right = [max(range(classes), key=row.__getitem__) for row in logits.tolist()]
    count = sum(a == b for a, b in zip(right, labels.tolist(), strict=True))
    assert hits(logits, labels) == count
    assert accuracy(logits, labels) == pytest.approx(100 * count / rows)
    shares = torch.bincount(labels, minlength=classes) / rows
    mean = (class_accuracy(logits, labels).nan_to_num() * shares).sum()
    assert float(mean) == pytest.approx(accuracy(logits, labels))


class _Elsewhere(torch.Tensor):
    """A tensor of another device, as far as NumPy can tell."""

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return torch.device("cuda")

    def numpy(self, *, force: bool = False) -> np.ndarray:
        raise TypeError("can't convert a cuda tensor to numpy")


def test_hits_on_another_device_are_counted_there() -> None:
    logits = torch.tensor([[2.0, 1], [0, 3], [5, 0]]).as_subclass(_Elsewhere)
    assert hits(logits, torch.tensor([0, 1, 1]).as_subclass(_Elsewhere)) == 2


def test_of_equal_logits_the_first_is_the_answer_and_gradients_do_not_matter() -> None:
    logits = torch.zeros(3, 2, requires_grad=True)
    assert hits(logits, torch.tensor([0, 1, 0])) == 2


@given(some.floats(0.01, 100), some.floats(0.01, 100))
def test_the_harmonic_mean_is_below_the_others(base: float, new: float) -> None:
    found = harmonic_mean(base, new)
    assert found == pytest.approx(2 / (1 / base + 1 / new))
    assert found == pytest.approx(harmonic_mean(new, base))
    assert min(base, new) - 1e-9 <= found <= (base * new) ** 0.5 + 1e-9


def test_the_harmonic_mean_of_nothing_is_nothing() -> None:
    assert harmonic_mean(80, 60) == pytest.approx(2 * 80 * 60 / 140)
    assert [harmonic_mean(0, 0), harmonic_mean(50, 0), harmonic_mean(0, 50)] == [0.0, 0.0, 0.0]


def test_a_spread_in_words() -> None:
    assert str(spread([80.0, 82.0])) == "81.0 ± 1.4"
    assert str(spread([80.06])) == "80.1"
    assert spread([1.0, 2.0, 6.0]) == Spread(3.0, math.sqrt(7), 3)


def test_a_spread_stays_as_it_was_made() -> None:
    assert frozen.thawed(evaluate) == []


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@given(some.integers(0, 99))
def test_scores_that_are_not_finite_hit_nothing(value: float, seed: int) -> None:
    """Wherever one stands that is best, and whatever the label."""
    g = torch.Generator().manual_seed(seed)
    logits = torch.randn(12, 3, generator=g)
    labels = torch.randint(3, (12,), generator=g)
    right = hits(logits, labels)
    lost = int((logits[:5].argmax(1) == labels[:5]).sum())
    if value < 0:  # all of them, for one alone is merely never best
        logits[:5] = value
    else:
        logits[torch.arange(5), torch.randint(3, (5,), generator=g)] = value
    assert hits(logits, labels) == right - lost


def test_a_mean_is_unweighted_and_of_nothing_not_a_number() -> None:
    assert mean([1.0, 2.0, 6.0]) == mean({"a": 1.0, "b": 2.0, "c": 6.0}.values()) == 3.0
    assert math.isnan(mean([]))
