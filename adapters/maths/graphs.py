"""Graphs whose nodes are embeddings: how near two nodes are, and messages along those edges."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import normalize


def likeness(a: Tensor, b: Tensor, of_a: Tensor, of_b: Tensor) -> Tensor:
    """Cosines `[n, m]` of `a [n, d]` less the mean of `of_a`, and `b [m, d]` less that of `of_b`.

    CLIP's embeddings of one kind all lie close to one direction; without their mean taken off,
    every node would be about as near as every other, above all across kinds.
    """
    a, b = (normalize(x - of.mean(0), dim=-1) for x, of in ((a, of_a), (b, of_b)))
    return a @ b.T


def soft_edges(likeness: Tensor, sharpness: float) -> Tensor:
    """Weights `[n, m]` that are positive and sum to 1 a row."""
    return (sharpness * likeness).softmax(-1)


def signed_edges(likeness: Tensor, power: float = 1.0) -> Tensor:
    """Weights `[n, m]` with the sign of the likeness, whose sizes sum to 1 a row.

    A `power` above 1 favours the near nodes, of which a class has few.
    """
    likeness = likeness.sign() * likeness.abs() ** power
    return likeness / likeness.abs().sum(-1, keepdim=True).clamp(min=1e-8)
