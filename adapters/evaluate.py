"""How good an adapter is: accuracy, and what several seeds say together."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from adapters.maths.winners import hits


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Top-1 accuracy in per cent of `logits [q, c]` against `labels [q]`."""
    return 100.0 * int(hits(logits, labels)) / len(labels) if len(labels) else math.nan


def share(right: Tensor) -> float:
    """How many of some pictures were right, bool `[q]`, in per cent; NaN of none."""
    return 100.0 * int(right.sum()) / len(right) if len(right) else math.nan


def class_accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Per-class accuracy in per cent `[c]`; NaN for a class without pictures."""
    return class_shares(logits.argmax(1), labels, logits.shape[1])


def class_shares(guess: Tensor, labels: Tensor, classes: int) -> Tensor:
    """The same of the classes that were taken for the best `[q]`."""
    right = labels[guess == labels]
    found, total = (torch.bincount(each, minlength=classes) for each in (right, labels))
    return 100.0 * found.double() / total


def harmonic_mean(base: float, new: float) -> float:
    """2BN / (B + N), the base-to-new score; 0 where both are 0."""
    return 2 * base * new / (base + new) if base + new else 0.0


def mean(values: Collection[float]) -> float:
    """The unweighted mean; NaN of none."""
    return math.fsum(values) / len(values) if values else math.nan


def better(criterion: str, found: float, than: float) -> bool:
    """Whether a score beats another: more of `accuracy`, less of all else.

    What is no number beats nothing.
    """
    if criterion == "accuracy":
        found, than = -found, -than
    return last(found) < last(than)


def last(loss: float) -> float:
    """A loss, infinite where it is no number, which would be neither more nor less than others."""
    return math.inf if math.isnan(loss) else loss


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation (ddof 1; NaN for one value) over `n` runs."""

    mean: float
    std: float
    n: int

    def __str__(self) -> str:
        return f"{self.mean:.1f}" if self.n < 2 else f"{self.mean:.1f} ± {self.std:.1f}"


def spread(values: Sequence[float]) -> Spread:
    """Mean and sample standard deviation of at least one value."""
    n, mean = len(values), math.fsum(values) / len(values)
    rest = math.fsum((v - mean) ** 2 for v in values)
    return Spread(mean, math.sqrt(rest / (n - 1)) if n > 1 else math.nan, n)
