"""Nearest others of embeddings, and sums over them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

CHUNK = 4096  # rows whose neighbours are looked for at once


def nearest(f: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The nearest other rows of unit `f [q, d]` and their cosines, `[q, count]` each.

    Of fewer other rows all of them.
    """
    count = max(min(count, len(f) - 1), 0)
    index, weight = [], []
    for start in range(0, max(len(f), 1), CHUNK):
        rows = f[start : start + CHUNK]
        cosine = rows @ f.T  # [chunk, q]
        own = torch.arange(len(rows), device=f.device)
        cosine[own, start + own] = -torch.inf
        best = cosine.topk(count, dim=1)
        index.append(best.indices)
        weight.append(best.values)
    return torch.cat(index), torch.cat(weight)


def pull(z: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    """sum_j w_ij z_j `[q, c]` over the neighbours of each row; 0 without any."""
    if not index.shape[1]:
        return torch.zeros_like(z)
    return embedding_bag(index, z, mode="sum", per_sample_weights=weight)


def pulled(z: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    """sum_j w_ji z_j `[q, c]`, over the rows whose neighbour each row is."""
    found = torch.zeros_like(z)
    for column in range(index.shape[1]):
        found.index_add_(0, index[:, column], weight[:, column, None] * z)
    return found
