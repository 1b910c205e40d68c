"""What is left out and asked for: loss at the best temperature, and PRESS of ridge regressions.

    L = min over s of the mean of -log softmax(s z_i)_{y_i}
    PRESS = mean over i of |G_ii^-1 A_i|^2,   G = (K + R)^-1,   A = G Y

z are logits of pictures that were held out, y their labels. Raw logits have no common temperature,
so that their cross-entropy would choose by their scale. L is convex in s; it is looked up at powers
of the root of two and a parabola put through the least three, which is right to some thousandths,
so that sums over folds are all that is kept. Labels are smoothed (Szegedy et al. 2016), for the few
pictures that are held out are often told apart without an error by many settings, and their loss
then is 0 at a large enough s. PRESS (Allen 1974) is the squared error of a kernel
ridge regression at rows that it was fitted without; G_ii is a number, or the block of rows that are
left out together. The only picture of a class says what the texts alone are worth when it is left
out, and so does a stand-in: it counts nothing where other classes have several (`counting`).
"""

from __future__ import annotations

import torch
from torch import Tensor

POWERS = range(-24, 7)  # of the root of two, by which logits are scaled
SMOOTHING = 0.01  # of labels


def losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of `logits [..., q, c]` summed over the pictures, at each scale `[..., s]`."""
    right = logits.gather(-1, labels.expand(logits.shape[:-1])[..., None])  # [..., q, 1]
    beyond = logits - right  # first of all: large logits would round away what is left
    smoothed = -SMOOTHING * beyond.mean(-1)  # [..., q]
    found = []
    for power in POWERS:
        scale = 2 ** (power / 2)
        lost = (scale * beyond).logsumexp(-1) + scale * smoothed
        found.append(lost.sum(-1, dtype=torch.float64))
    return torch.stack(found, -1)


def least(sums: Tensor) -> Tensor:
    """The losses `[..., s]` at the best scale, by a parabola around the least of them."""
    at = sums.argmin(-1).clamp(1, sums.shape[-1] - 2)[..., None]
    before, middle, after = (sums.gather(-1, at + i).squeeze(-1) for i in (-1, 0, 1))
    bend = before - 2 * middle + after
    lower = middle - (after - before).square() / (8 * bend)
    # At an end the least is no middle, and nothing is to be had beyond.
    inside = (middle <= before) & (middle <= after) & (bend > 0)
    return lower.where(inside, sums.amin(-1))


def counting(labels: Tensor, weights: Tensor | None = None) -> Tensor | None:
    """What the error at each row of `labels [n]` counts; None where all count the same.

    Nothing at the only row of a class, unless no class has two, where all count. `weights [n]` are
    what rows count otherwise.
    """
    several = labels.bincount()[labels] > 1
    if several.all() or not several.any():
        return weights
    share = several / several.double().mean()
    return share if weights is None else share * weights


def press(
    basis: Tensor, spectrum: Tensor, moments: Tensor, ridge: float, rows: int,
    weights: Tensor | None = None,
) -> float:  # fmt: skip
    """PRESS of A = B (S + ridge)^-1 M with G = B (S + ridge)^-1 B^T.

    `basis [n, m]`, `spectrum [m]` and `moments [m, c]` are those of `kernels.ridge`, with as many
    rows as pictures, or blocks of `rows` one after the other (views), of which row i of each is
    left out together. `weights [n]` are what each row counts.
    """
    by = basis / (spectrum + ridge)
    shape = (len(basis) // rows, rows, -1)  # [v, rows, ...]
    a = (by @ moments).reshape(shape).transpose(0, 1)  # [rows, v, c]
    g = torch.einsum("vim,wim->ivw", by.reshape(shape), basis.reshape(shape))
    error = torch.linalg.solve(g, a).square()  # [rows, v, c]
    if weights is not None:
        error = error * weights.reshape(shape).transpose(0, 1)
    return float(error.double().mean())
