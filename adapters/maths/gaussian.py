"""One Gaussian a class with a shared covariance, as linear class weights and biases.

    S = sum_i a_i (x_i - mu_y)(x_i - mu_y)^T / (n - 1),   n = sum_i a_i
    P = d pinv((n - 1) S + tr(S) I),   W = mu P,   b_c = log(1/C) - mu_c P mu_c^T / 2

Samples come in blocks (a view, the prompts, ...), so that no copy of all of them is made. Where
every sample is its class's mean (one shot and one view) S is 0 and says nothing; then S is the
isotropic s I with s the variance between the class means, averaged over dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# Spread within classes below this share of the squared lengths is rounding.
ROUNDING = 1e-6


@dataclass(frozen=True)
class Block:
    """Samples `x [n, d]` with their classes `labels [n]`, each counted `weight [n]` times."""

    x: Tensor
    labels: Tensor
    weight: Tensor


def unweighted(x: Tensor, labels: Tensor) -> Block:
    """Samples that count once each."""
    return Block(x, labels, torch.ones_like(x[:, 0]))


def discriminant(blocks: Sequence[Block], classes: int) -> tuple[Tensor, Tensor]:
    """Class weights W `[c, d]` and biases b `[c]`."""
    means = class_means(blocks, classes)
    n = sum(float(block.weight.sum()) for block in blocks)
    scatter = sum((_scatter(block, means) for block in blocks), torch.zeros(()).to(means))
    if float(scatter.trace()) < ROUNDING * n:
        scatter = max(n - 1, 1) * _isotropic(means)
    weights = means @ _precision(scatter, n)
    return weights, -math.log(classes) - (weights * means).sum(1) / 2


def class_means(blocks: Sequence[Block], classes: int) -> Tensor:
    """The weighted mean of each class `[c, d]`; 0 for a class without samples."""
    total = blocks[0].x.new_zeros(classes, blocks[0].x.shape[1])
    count = total.new_zeros(classes)
    for block in blocks:
        total.index_add_(0, block.labels, block.x * block.weight[:, None])
        count.index_add_(0, block.labels, block.weight)
    return total / count.clamp(min=ROUNDING)[:, None]


def _scatter(block: Block, means: Tensor) -> Tensor:
    """Spread around the class means `[d, d]`; centred first, as float32 would cancel."""
    centred = block.x - means[block.labels]  # [n, d]
    return centred.T @ (centred * block.weight[:, None])


def _isotropic(means: Tensor) -> Tensor:
    classes, d = means.shape
    between = (means - means.mean(0)).square().sum() / max(classes - 1, 1) / d
    return between.clamp(min=ROUNDING) * torch.eye(d).to(means)


def _precision(scatter: Tensor, n: float) -> Tensor:
    """P `[d, d]`; the trace keeps the matrix regular, so that its inverse is the pseudo-inverse."""
    d = len(scatter)
    shrunk = scatter + scatter.trace() / max(n - 1, 1) * torch.eye(d).to(scatter)
    return d * torch.cholesky_inverse(torch.linalg.cholesky(shrunk))
