"""Sums over classes of the exponential kernel to keys that move with their class, and its gradient.

    S_cq = sum over i in class c of w_i exp(beta ((b_iq + a_cq) / l_i - 1))

b are products of keys and queries, a those of what the keys of a class have moved by, l how long
the keys now are. All is done a portion of keys at a time, forth and back, so that what is as large
as keys x queries passes through a processor's cache once instead of through memory ten times.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from adapters.maths.kernels import portion


def class_affinity(
    base: Tensor, moved: Tensor, lengths: Tensor, weights: Tensor, labels: Tensor, beta: float
) -> Tensor:
    """S `[c, q]` of `base [n, q]`, `moved [c, q]`, `lengths`, `weights` and `labels [n]`.

    All but `base` may want gradients.
    """
    found: Tensor = _Sums.apply(base, moved, lengths, weights, labels, beta)
    return found


def own_products(keys: Tensor, by: Tensor, labels: Tensor) -> Tensor:
    """Of each of `keys [n, d]` the product with the row of `by [c, d]` of its class `[n]`.

    `by` may want a gradient.
    """
    found: Tensor = _Own.apply(keys, by, labels)
    return found


class _Own(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, keys: Tensor, by: Tensor, labels: Tensor) -> Tensor:
        context.save_for_backward(keys, by, labels)
        parts = [by[y].mul_(keys[some]).sum(1) for some, y in _portions(keys, labels)]
        return torch.cat([keys.new_empty(0), *parts])

    @staticmethod
    @once_differentiable
    def backward(context: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        keys, by, labels = context.saved_tensors
        by_by = torch.zeros_like(by)
        for some, y in _portions(keys, labels):
            by_by.index_add_(0, y, keys[some] * slope[some, None])
        return None, by_by, None


class _Sums(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any,
        base: Tensor,
        moved: Tensor,
        lengths: Tensor,
        weights: Tensor,
        labels: Tensor,
        beta: float,
    ) -> Tensor:
        context.save_for_backward(base, moved, lengths, weights, labels)
        context.beta = beta
        sums = torch.zeros_like(moved)
        for some, y in _portions(base, labels):
            values = _near(base[some], moved[y], lengths[some]).mul_(beta).exp_()
            sums.index_add_(0, y, values.mul_(weights[some, None]))
        return sums

    @staticmethod
    @once_differentiable
    def backward(context: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        base, moved, lengths, weights, labels = context.saved_tensors
        by_moved, by_lengths = torch.zeros_like(moved), torch.empty_like(lengths)
        by_weights = torch.empty_like(weights)
        for some, y in _portions(base, labels):
            near = _near(base[some], moved[y], lengths[some])
            values = (context.beta * near).exp_().mul_(slope[y])
            by_weights[some] = values.sum(1)
            values.mul_((context.beta * weights[some] / lengths[some])[:, None])
            by_moved.index_add_(0, y, values)
            by_lengths[some] = -values.mul_(near.add_(1)).sum(1)
        return None, by_moved, by_lengths, by_weights, None, None


def _near(base: Tensor, moved: Tensor, lengths: Tensor) -> Tensor:
    """Cosines less 1, in a tensor of its own."""
    return moved.add_(base).div_(lengths[:, None]).sub_(1)


def _portions(base: Tensor, labels: Tensor) -> Iterator[tuple[slice, Tensor]]:
    rows = max(portion(base) // max(base.shape[1], 1), 1)
    for first in range(0, len(base), rows):
        some = slice(first, first + rows)
        yield some, labels[some]
