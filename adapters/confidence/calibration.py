"""Calibration: one temperature for an adapter's logits, and scores for sets that hold the truth.

    p = softmax(z / T),   T least in  sum of cross-entropies + (log T / S)^2 / 2

on pictures that were not fitted on (Guo et al. 2017, arXiv 1706.04599). The second term, ours, is a
prior: a few pictures say little of T, and where all of them are right nothing else would bound it.
S = 0.5 was settled on the embedded worlds, seeds 11 to 15. A set at coverage 1 - a is
{c: 1 - p_c <= q}, q the ceil((n + 1)(1 - a))-th smallest of the n scores 1 - p_y (Sadinle et al.
2019, arXiv 1609.00451): for pictures exchangeable with those of the scores it holds the truth at
least as often as was asked for.

The pictures are validation's where the policy has them. Else some of each class are left out of
the support in turn, the rest is fitted with the same settings and asked about them; such scores
come of fits on fewer pictures than the adapter's, and promise nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from adapters.choosing.folds import trains
from adapters.episode import Episode, Labelled, Query, Support
from adapters.method import Method, State
from adapters.selection import select
from featcache.errors import EpisodeError

VALIDATION, LEFT_OUT = "validation", "left-out"
KEY = "calibration"  # in what an adapter says about itself
# Most fits on a part of the support. Scales of logits change with the number of pictures, so that
# as few as can be are left out at once: of closed forms one of 64, of trainings one of 8.
FOLDS, TRAININGS = 64, 8
MOST = 2000  # scores that are kept; any of exchangeable ones will do
RANGE = (1e-4, 1e4)  # of 1 / T
SPREAD = 0.5  # S, of log T before any picture is seen


@dataclass(frozen=True)
class Calibration:
    """A temperature, and the scores 1 - p_y of `on` (`validation` or `left-out`), ascending."""

    temperature: float
    scores: tuple[float, ...]
    on: str

    def threshold(self, coverage: float) -> float:
        """The q of sets at that coverage, between 0 and 1; infinite where n is too small for it."""
        n = len(self.scores)
        # A hundredth of a millionth less, for 0.9 is a little more than 9/10.
        place = math.ceil((n + 1) * coverage - 1e-8)
        return self.scores[max(place, 1) - 1] if place <= n else math.inf

    @property
    def kept(self) -> dict[str, Any]:
        """What an adapter keeps of it."""
        return {"temperature": self.temperature, "scores": [*self.scores], "on": self.on}


def read(about: Mapping[str, Any]) -> Calibration | None:
    """What an adapter kept; None where it is not calibrated. Raises `ValueError` for nonsense."""
    held = about.get(KEY)
    if held is None:
        return None
    try:
        found = Calibration(
            float(held["temperature"]), tuple(map(float, held["scores"])), held["on"]
        )
    except (LookupError, TypeError) as error:
        raise ValueError(f"its calibration says no {error}") from None
    fine = 0 < found.temperature < math.inf and found.scores and found.on in (VALIDATION, LEFT_OUT)
    if not fine or not all(0 <= score <= 1 for score in found.scores):
        raise ValueError("its calibration is none")
    return found


def calibrated(
    method: Method, episode: Episode, config: Any, state: State, held: Labelled | None
) -> Calibration:
    """The calibration of a fitted state on the held-out pictures, or on support left out in turn.

    Raises `EpisodeError` where there are neither.
    """
    if held is not None:
        generator = torch.Generator().manual_seed(episode.seed)
        rows = torch.randperm(len(held.labels), generator=generator)[:MOST].to(held.labels.device)
        some = _rows(held, rows)
        with torch.inference_mode():
            logits = method.answer(state, config, some.query, episode.classes)
        return of_logits(logits, some.labels, VALIDATION)
    return of_logits(*left_out(method, episode, config), LEFT_OUT)


def of_logits(logits: Tensor, labels: Tensor, on: str) -> Calibration:
    """The calibration by `logits [n, c]` of pictures with known `labels [n]`."""
    logits = logits.double()
    heat = temperature(logits, labels)
    right = (logits / heat).softmax(1).gather(1, labels[:, None])[:, 0]
    return Calibration(heat, tuple((1 - right).clamp(0, 1).sort().values.tolist()), on)


def temperature(logits: Tensor, labels: Tensor) -> float:
    """The T of `logits [n, c]` and `labels [n]`, from 1e-4 to 1e4."""
    own = logits.gather(1, labels[:, None])[:, 0].sum()
    low, high = map(math.log, RANGE)  # of 1 / T
    for _ in range(50):
        middle = (low + high) / 2
        sharp = math.exp(middle)
        slope = sharp * (((sharp * logits).softmax(1) * logits).sum() - own) + middle / SPREAD**2
        low, high = (middle, high) if slope < 0 else (low, middle)
    return math.exp(-(low + high) / 2)


def left_out(method: Method, episode: Episode, config: Any) -> tuple[Tensor, Tensor]:
    """Logits `[n, c]` and labels of support pictures by fits without them, with these settings.

    The only picture of a class is never left out. Raises `EpisodeError` where no class has two.
    """
    support = episode.support
    counts = support.labels.bincount(minlength=episode.classes)
    several = counts[support.labels] > 1
    folds = min(TRAININGS if trains(config) else FOLDS, int(several.sum()))
    if folds < 2:
        raise EpisodeError(
            f"calibration leaves pictures of a class out in turn, and {episode.dataset or 'this'} "
            "has no class with two; take more shots, or a policy with validation "
            "(--policy few-shot-val)."
        )
    # Class by class, so that a fold takes few of any class, and never all of one.
    order = support.labels.masked_fill(~several, episode.classes).argsort(stable=True)
    place = order.argsort() % folds
    logits, labels = [], []
    for fold in range(folds):
        out = several & (place == fold)
        part = _support(support, (~out).nonzero()[:, 0])
        shots = int(part.labels.bincount().max())
        chosen = select(method, replace(episode, support=part, shots=shots), config, None)
        asked = _support(support, out.nonzero()[:, 0])
        pre = None if asked.pre is None else asked.pre[0]
        query = Query(asked.x, pre, asked.patches)
        with torch.inference_mode():
            logits.append(method.answer(chosen.state, chosen.config, query, episode.classes))
        labels.append(asked.labels)
    return torch.cat(logits), torch.cat(labels)


def _support(support: Support, rows: Tensor) -> Support:
    ids = tuple(support.ids[row] for row in rows.tolist())
    pre = None if support.pre is None else support.pre[:, rows]
    patches = None if support.patches is None else support.patches[rows]
    return Support(support.views[:, rows], support.labels[rows], ids, pre, patches)


def _rows(held: Labelled, rows: Tensor) -> Labelled:
    ids = tuple(held.ids[row] for row in rows.tolist())
    pre, patches = (None if extra is None else extra[rows] for extra in (held.pre, held.patches))
    return Labelled(held.x[rows], held.labels[rows], ids, pre, patches)
