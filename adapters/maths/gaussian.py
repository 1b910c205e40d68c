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
FEW = 64  # twice the samples that are few whatever the dimensions


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
    n = torch.stack([block.weight.sum() for block in blocks]).sum()
    few = 2 * sum(len(block.x) for block in blocks) < max(means.shape[1], FEW)
    weights = (_by_samples if few else _by_dimensions)(blocks, means, n)
    return weights, -math.log(classes) - (weights * means).sum(1) / 2


def _by_dimensions(blocks: Sequence[Block], means: Tensor, n: Tensor) -> Tensor:
    """W = mu P `[c, d]` with a matrix `[d, d]` to be inverted."""
    scatter = sum((_scatter(block, means) for block in blocks), torch.zeros(()).to(means))
    if float(scatter.trace()) < ROUNDING * float(n):
        scatter = _freedom(n) * _isotropic(means) * torch.eye(len(scatter)).to(means)
    return means @ _precision(scatter, n)


def _by_samples(blocks: Sequence[Block], means: Tensor, n: Tensor) -> Tensor:
    """The same where samples are fewer than dimensions, with a matrix `[m, m]` to be solved.

    (A^T A + t I)^-1 = (I - A^T (A A^T + t I)^-1 A) / t   (Woodbury), A the centred samples. Nothing
    is asked of a value, so that `torch.vmap` can do many supports as one.
    """
    away = torch.cat([(b.x - means[b.labels]) * b.weight.sqrt()[:, None] for b in blocks])
    gram = away @ away.T  # [m, m]
    spread, d = gram.diagonal().sum(), means.shape[1]
    flat = spread < ROUNDING * n
    shrink = torch.where(flat, 1.0, spread / _freedom(n))
    within = torch.linalg.solve(gram + shrink * torch.eye(len(gram)).to(gram), away @ means.T)
    weights = (means - within.T @ away) / shrink
    return d * torch.where(flat, means / ((_freedom(n) + d) * _isotropic(means)), weights)


def _freedom(n: Tensor) -> Tensor:
    return (n - 1).clamp(min=1)


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
    """The variance between class means, averaged over dimensions."""
    classes, d = means.shape
    between = (means - means.mean(0)).square().sum() / max(classes - 1, 1) / d
    return between.clamp(min=ROUNDING)


def _precision(scatter: Tensor, n: Tensor) -> Tensor:
    """P `[d, d]`; the trace keeps the matrix regular, so that its inverse is the pseudo-inverse."""
    d = len(scatter)
    shrunk = scatter + scatter.trace() / _freedom(n) * torch.eye(d).to(scatter)
    return d * torch.cholesky_inverse(torch.linalg.cholesky(shrunk))
