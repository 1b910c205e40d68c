"""For how many pictures a ridge regression is right at each of many ridges, by products at a few.

    s_c(r) = t_c + sum over i of a_i M_ic / (e_i + r)

1 / (e + r) is so smooth in r that a sum of few of them, w_l each, is nearly another. What a score
is off by where that sum of scores stands in its place, Cauchy and Schwarz tell:

    |sum over i of a_i (M_ic - m_i) d_i| <= |a / g| |g (M_c - m) d|
    d_i = 1 / (e_i + r) - sum over l of w_l / (e_i + r_l)

with any m, which all classes share, and any g; here sqrt(e + r) of the least r. Where a picture's
class is further from the best of the others than that, it is known to be right, or wrong, without
the product at r. Pictures that are left get theirs, so that the counts are those of all products.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from adapters.maths.kernels import predict
from adapters.maths.winners import hits

Counter = Callable[[Tensor, Tensor, Tensor], list[int | Tensor]]

FEWEST, A_DECADE = 2, 1.0  # ridges with a product for all pictures, and more for each power of ten
STEADY = 1e-4  # share of the largest singular value below which weights would only grow
ROUNDING = 1e-5  # of the largest score, which float32 may be off by


@dataclass(frozen=True)
class _Sums:
    """Weights `[j, 1 + k]` of text and scores at k ridges, for j others, and what these are off by.

    `away [j]` times the length of a picture's coordinates, each times `least [m]`, is twice the
    most that any class is.
    """

    weights: Tensor
    away: Tensor
    least: Tensor


def counter(path: Mapping[str, Tensor], lambdas: Sequence[float]) -> Counter:
    """What tells the hits of text + `kernels.predict(path, at, lambda)` for each of the `lambdas`.

    It is asked with text `[q, c]`, `at [q, m]` as of `kernels.coordinates` and labels `[q]`.
    """
    ridges = 1 / torch.tensor(lambdas, dtype=torch.float64)
    # To know which pictures are left, one would have to wait for another device.
    here = path["moments"].device.type == "cpu"
    seen = _spread(ridges) if here else [*range(len(lambdas))]
    others = [each for each in range(len(lambdas)) if each not in seen]
    sums = _sums(path, ridges[seen], ridges[others]) if others else None
    return partial(_hits, path, lambdas, seen, others, sums)


def _hits(
    path: Mapping[str, Tensor],
    lambdas: Sequence[float],
    seen: list[int],
    others: list[int],
    sums: _Sums | None,
    text: Tensor,
    at: Tensor,
    labels: Tensor,
) -> list[int | Tensor]:
    found: dict[int, int | Tensor] = {}
    scores = text.new_empty(len(seen) + 1, *text.shape)
    scores[0] = text
    for each, own in zip(seen, scores[1:], strict=True):
        torch.add(text, predict(path, at, lambdas[each]), out=own)
        found[each] = hits(own, labels)
    if sums is not None:
        near = (at * sums.least).norm(dim=1)  # [q]
        largest = ROUNDING * max(map(abs, map(float, scores.aminmax())))
        nearly = (sums.weights @ scores.flatten(1)).view(-1, *text.shape)  # [j, q, c]
        for each, by, away, some in zip(others, sums.weights, sums.away, nearly, strict=True):
            ahead = _ahead(some, labels)
            known = ahead.abs() > away * near + by.abs().sum() * largest
            found[each] = int(((ahead > 0) & known).sum())
            if not known.all():
                left = ~known
                again = text[left] + predict(path, at[left], lambdas[each])
                found[each] += hits(again, labels[left])
    return [found[each] for each in range(len(lambdas))]


def _spread(ridges: Tensor) -> list[int]:
    """Those of the `ridges [l]` that are nearest to a few spread evenly by powers."""
    powers = ridges.log10()
    low, high = float(powers.min()), float(powers.max())
    wanted = torch.linspace(low, high, FEWEST + round(A_DECADE * (high - low)))
    return sorted({*(powers[:, None] - wanted).abs().argmin(0).tolist()})


def _sums(path: Mapping[str, Tensor], seen: Tensor, others: Tensor) -> _Sums:
    """Other ridges by those that were seen."""
    moments, e = path["moments"], path["spectrum"].double()[:, None]  # [m, c], [m, 1]
    g = (e + torch.cat([seen, others]).min()).sqrt()
    few, many = (g.square() / (e + some) for some in (seen, others))  # [m, k], [m, j]
    weights = torch.linalg.lstsq(few, many, rcond=STEADY, driver="gelsd").solution  # [k, j]
    d = ((many - few @ weights) / g).square().T.to(moments)  # [j, m]: what is off, times g
    away = (d @ (moments - moments.mean(1, keepdim=True)).square()).amax(1).sqrt()  # [j]
    weights = torch.cat([1 - weights.sum(0)[None], weights])  # the text counts once in each
    return _Sums(weights.T.to(moments), 2 * away, (1 / g[:, 0]).to(moments))


def _ahead(scores: Tensor, labels: Tensor) -> Tensor:
    """How far `scores [q, c]`, which are overwritten, of the classes `labels [q]` are ahead."""
    right = scores.gather(1, labels[:, None])
    return (right - scores.scatter_(1, labels[:, None], -torch.inf).amax(1, keepdim=True))[:, 0]
