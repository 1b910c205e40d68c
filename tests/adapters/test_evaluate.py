"""How good an adapter is: counts by hand, and what seeds say together."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adapters.evaluate import accuracy, class_accuracy, harmonic_mean, spread


@given(st.lists(st.floats(0, 100), min_size=1, max_size=9))
def test_spread_is_numpys(values: list[float]) -> None:
    found = spread(values)
    assert found.mean == pytest.approx(np.mean(values))
    if len(values) > 1:
        assert found.std == pytest.approx(np.std(values, ddof=1), abs=1e-9)
    else:
        assert math.isnan(found.std)


def test_accuracies() -> None:
    logits = torch.tensor([[2.0, 1, 0], [0, 3, 1], [5, 0, 1], [0, 0, 1]])
    labels = torch.tensor([0, 1, 1, 2])
    assert accuracy(logits, labels) == 75.0
    assert class_accuracy(logits, labels).tolist() == [100.0, 50.0, 100.0]
    assert harmonic_mean(80, 60) == pytest.approx(2 * 80 * 60 / 140)
    assert harmonic_mean(0, 0) == 0.0
