"""Small trainings that stack without rounding otherwise: a valley each, with noise of its own."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor

from adapters.maths import training
from adapters.maths.training import Tensors, Training


def valley(parameters: Tensors, data: Tensors, batch: Tensors, power: int = 2) -> Tensor:
    """A loss without products of matrices, so that stacking rounds nothing in another way."""
    return ((parameters["a"] - data["goal"] - batch["noise"]).abs() ** power).sum()


def run(seed: int, optimiser: Any = None, schedule: Any = (1.0, 0.5), **loss: Any) -> Training:
    """A training with its own start, goal and noise, and a parameter that the loss leaves out."""
    g = Generator().manual_seed(seed)
    start = {"a": torch.randn(2, 3, generator=g), "unread": torch.randn(4, generator=g)}
    return Training(
        start=start,
        loss=partial(valley, **loss),
        data={"goal": torch.randn(3, generator=g)},
        batches=({"noise": torch.randn(2, 3, generator=g)} for _ in schedule),
        optimiser=optimiser or training.by_adamw(0.1),
        schedule=schedule,
        finish=dict,
    )
