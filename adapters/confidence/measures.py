"""How good confidence is: calibration error, likelihood, selective accuracy, known against unknown.

Confidence is the largest probability, p = softmax of the logits. The calibration error is that of
Guo et al. (2017, arXiv 1706.04599) over 15 bins of equal width, `sum_b n_b / n |acc_b - conf_b|`.
Selective accuracy is that of the most confident 80 or 90 % (Geifman and El-Yaniv 2017, arXiv
1705.08500). Known and unknown are told apart by energy, the log of the sum of exp(logits) (Liu et
al. 2020, arXiv 2010.03759), which ranks better here than the largest probability.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

BINS = 15
COVERAGES = tuple(range(5, 101, 5))  # of the curve, per cent

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Confidence:
    """What the probabilities of some pictures are worth.

    `ece` and the accuracies at 80 and 90 % coverage are per cent, `nll` is nats a picture. `bins`
    are count, mean confidence and accuracy (both 0 to 1) of each bin; `curve` is the accuracy in
    per cent of the most confident 5, 10, … 100 %.
    """

    ece: float
    nll: float
    selective_80: float
    selective_90: float
    bins: tuple[tuple[int, float, float], ...]
    curve: tuple[float, ...]

    @property
    def row(self) -> dict[str, Any]:
        """The columns of a row."""
        return {
            "ece": self.ece,
            "nll": self.nll,
            "selective_80": self.selective_80,
            "selective_90": self.selective_90,
            "confidence": {"bins": self.bins, "curve": self.curve},
        }


class Scored(NamedTuple):
    """All that is measured of the scores of some pictures, each `[q]`.

    The best class, its score, the score of the picture's own class, and the log of the sum of
    exp(score) over all classes.
    """

    guess: Tensor
    best: Tensor
    own: Tensor
    total: Tensor


def scored(logits: Tensor, labels: Tensor, temperature: float = 1.0) -> Scored:
    """That of `logits [q, c]` and `labels [q]`: of each picture by itself."""
    scores = logits if temperature == 1 else logits / temperature
    best, guess = _best(scores)
    total = best + (scores - best[:, None]).exp_().sum(1).log_()
    return Scored(guess, best, scores.gather(1, labels[:, None])[:, 0], total)


def _best(scores: Tensor) -> tuple[Tensor, Tensor]:
    if scores.device.type != "cpu":
        best, guess = scores.max(1)
        return best, guess
    # NumPy finds the place of the largest six times as fast as torch.
    guess = torch.from_numpy(scores.detach().numpy().argmax(1))
    return scores.gather(1, guess[:, None])[:, 0], guess


def confidence(found: Scored, labels: Tensor) -> Confidence | None:
    """The confidence of what was `scored` by its `labels [q]`; None of no pictures."""
    if not len(labels):
        return None
    nll = float((found.total - found.own).double().mean())
    sure: Floats = (found.best - found.total).exp().double().cpu().numpy()
    right: Floats = (found.guess == labels).double().cpu().numpy()
    bins = _bins(sure, right)
    ece = sum(n * abs(hit - mean) for n, mean, hit in bins) / len(right)
    some = _selective(sure, right)
    curve = tuple(some[_most(len(right), share) - 1] for share in COVERAGES)
    eighty, ninety = (float(some[_most(len(right), share) - 1]) for share in (80, 90))
    return Confidence(100 * ece, nll, eighty, ninety, bins, tuple(map(float, curve)))


def _bins(confidence: Floats, right: Floats) -> tuple[tuple[int, float, float], ...]:
    # Bins are open below, as in the paper; 0 cannot be the largest of anything.
    place = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    counts, sums, hits = (
        np.bincount(place, weights=each, minlength=BINS) for each in (None, confidence, right)
    )
    safe = np.maximum(counts, 1)
    return tuple(
        (int(n), float(mean), float(hit))
        for n, mean, hit in zip(counts, sums / safe, hits / safe, strict=True)
    )


def _selective(confidence: Floats, right: Floats) -> Floats:
    """Accuracy in per cent of the 1, 2, … n most confident; equals share alike."""
    order = np.argsort(-confidence, kind="stable")
    _, where, counts = np.unique(-confidence[order], return_inverse=True, return_counts=True)
    shared = (np.bincount(where, weights=right[order]) / counts)[where]
    found: Floats = 100 * shared.cumsum() / np.arange(1, len(right) + 1)
    return found


def _most(pictures: int, share: int) -> int:
    return max(1, -(-pictures * share // 100))


def energy(logits: Tensor) -> Tensor:
    """How known pictures look `[q]`, by their `logits [q, c]`; more is more known."""
    return logits.logsumexp(1)


def auroc(known: Tensor, unknown: Tensor) -> float:
    """How often in per cent a known picture scores above an unknown one; equals count half.

    NaN where there are none of either.
    """
    if not (len(known) and len(unknown)):
        return float("nan")
    ordered = unknown.double().sort().values
    below, upto = (torch.searchsorted(ordered, known.double(), right=r) for r in (False, True))
    return 50.0 * float((below + upto).double().mean()) / len(unknown)
