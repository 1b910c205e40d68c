"""The residual bottleneck of the CLIP-Adapter family: two linear maps without biases.

    a(x) = r relu(W2 relu(W1 x)) + (1 - r) x

It is positively homogeneous, a(c x) = c a(x) for c > 0, so that under a cosine the norm of its
input does not matter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Generator, Tensor
from torch.nn.functional import linear, relu


def new(d: int, hidden: int, generator: Generator) -> dict[str, Tensor]:
    """Untrained maps `down [h, d]` and `up [d, h]`, uniform in +- 1 / sqrt(inputs)."""
    return {"down": _uniform(hidden, d, generator), "up": _uniform(d, hidden, generator)}


def _uniform(rows: int, columns: int, generator: Generator) -> Tensor:
    weight = torch.rand(rows, columns, generator=generator, device=generator.device)
    bound = math.sqrt(1 / columns)
    return (2 * weight - 1) * bound


def adapt(net: Mapping[str, Tensor], x: Tensor, ratio: float | Tensor) -> Tensor:
    """`x [..., d]` mixed with what the bottleneck makes of it."""
    made = relu(linear(relu(linear(x, net["down"])), net["up"]))
    return ratio * made + (1 - ratio) * x
