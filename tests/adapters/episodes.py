"""Episodes made in memory: classes around their own axes, views, ragged prompts."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters import Episode, Support, Text


def make_episode(
    counts: tuple[int, ...] = (3, 3, 3, 3),
    views: int = 1,
    width: int = 16,
    prompts: tuple[int, ...] = (5, 2, 4, 3),
    seed: int = 0,
) -> Episode:
    """`counts` pictures and `prompts` prompts of each class; all raw norms differ from 1."""
    g = torch.Generator().manual_seed(seed)
    centre = 2 * torch.eye(len(counts), width) + 0.5
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    shape = (views, len(labels), width)
    x = 3 * (centre[labels] + 0.5 * torch.randn(shape, generator=g))
    p = centre[:, None] + 0.7 * torch.randn(len(counts), max(prompts), width, generator=g)
    mask = torch.arange(max(prompts)) < torch.tensor(prompts)[:, None]
    text = Text(5 * p * mask.unsqueeze(-1), mask, tuple("abcdefgh"[: len(counts)]))
    return Episode(Support(x, labels, tuple(map(str, labels))), text, 100.0, counts[0], 1)


def queries(rows: int = 7, width: int = 16) -> Tensor:
    """Raw query embeddings `[rows, width]`."""
    return 4 * torch.randn(rows, width, generator=torch.Generator().manual_seed(9)) + 1


def alike(labels: torch.Tensor) -> torch.Tensor:
    """What each picture counts so that all classes that are there count alike, the mean being 1."""
    _, place, counts = labels.unique(return_inverse=True, return_counts=True)
    return (len(labels) / len(counts)) / counts[place].float()


def unit(x: Tensor) -> Tensor:
    """Rows of norm 1."""
    return normalize(x, dim=-1)


def generator() -> torch.Generator:
    """The chance a fit is given."""
    return torch.Generator().manual_seed(1)
