"""Flow matching from a point to its class: the velocity network, paths with targets, Euler.

    x_t = (1 - t) x0 + t x1,   dx/dt = u(x, t),   x <- x + h u(x, t)

The network is a function of a dictionary of parameters, so that many of them can be stacked.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Literal

import torch
from torch import Generator, Tensor
from torch.nn.functional import layer_norm, silu
from torch.nn.init import normal_

from adapters.maths import training

FREQUENCIES = 128
EULER_STEPS = 10
Net = Mapping[str, Tensor]
Target = Literal["paper", "interpolant", "endpoint"]


def new_velocity(d: int, width: int, blocks: int, generator: Generator) -> dict[str, Tensor]:
    """Parameters of `velocity` on `[..., d]` with hidden layers of `width`; untrained, it is 0."""
    xavier = partial(training.xavier, generator=generator)
    weights = {"time.0": xavier(width, 2 * FREQUENCIES), "time.1": xavier(width, width)}
    for weight in weights.values():
        normal_(weight, std=0.02, generator=generator)
    weights["in"] = xavier(width, d)
    for b in range(blocks):
        weights[f"block{b}.modulation"] = torch.zeros(3 * width, width)
        weights[f"block{b}.0"] = xavier(width, width)
        weights[f"block{b}.1"] = xavier(width, width)
    weights["out.modulation"] = torch.zeros(2 * width, width)
    weights["out"] = torch.zeros(d, width)
    net = training.layers(weights)
    for b in range(blocks):
        net[f"block{b}.norm.weight"] = torch.ones(width)
        net[f"block{b}.norm.bias"] = torch.zeros(width)
    return net


def velocity(net: Net, x: Tensor, t: Tensor) -> Tensor:
    """The field u(x, t) of `x [..., d]`, where `t [...]` broadcasts against the rows of x.

    Residual blocks modulated by time alone (adaptive layer norm); no class enters.
    """
    layer = partial(training.apply, net)
    time = silu(layer("time.1", silu(layer("time.0", sinusoid(t)))))  # [..., w]
    x = layer("in", x)
    for b in range(_blocks(net)):
        shift, scale, gate = layer(f"block{b}.modulation", time).chunk(3, dim=-1)
        h = _norm(x, net[f"block{b}.norm.weight"], net[f"block{b}.norm.bias"])
        h = h * (1 + scale) + shift
        x = x + gate * layer(f"block{b}.1", silu(layer(f"block{b}.0", h)))
    shift, scale = layer("out.modulation", time).chunk(2, dim=-1)
    return layer("out", _norm(x) * (1 + scale) + shift)


def _norm(x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
    return layer_norm(x, x.shape[-1:], weight, bias, eps=1e-6)


def _blocks(net: Net) -> int:
    return sum(name.endswith(".norm.weight") for name in net)


def sinusoid(t: Tensor) -> Tensor:
    """Times `[...]` as cosines, then sines `[..., 256]` of 1000 t."""
    exponents = torch.arange(FREQUENCIES, device=t.device) / FREQUENCIES
    angles = 1000 * t[..., None] * torch.exp(-math.log(1e4) * exponents)
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def path(
    target: Target, x0: Tensor, x1: Tensor, t: Tensor, eps: Tensor | None, gamma: float | Tensor
) -> tuple[Tensor, Tensor]:
    """A state of the path at times `t [..., 1]` and the velocity to learn there.

    `eps` is standard normal noise of scale `gamma` above 0, or None. Without noise all three
    targets are x1 - x0; each is written as that plus a share of the noise, hence finite at both
    ends.
    """
    x = (1 - t) * x0 + t * x1
    if eps is None or target == "endpoint":
        return x, (x1 - x0).expand_as(x)
    spread = (t * (1 - t)).sqrt()
    if target == "interpolant":
        return x + gamma * spread * eps, x1 - x0 + gamma * (1 - 2 * t) / (2 * spread) * eps
    noise = gamma * spread * x.std(dim=-1, keepdim=True) * eps
    return x + noise, x1 - x0 - noise / (1 - t)  # = (x1 - x - noise) / (1 - t)


def regression(
    target: Target, u: Tensor, wanted: Tensor, t: Tensor, weights: Tensor | None = None
) -> Tensor:
    """Mean over the batch of the squared error summed over dimensions, each counted by its weight.

    For `endpoint` it is the error of the end that the velocity implies: x_t + (1 - t) u - x1 =
    (1 - t) (u - (x1 - x0)).
    """
    error = (1 - t) * (u - wanted) if target == "endpoint" else u - wanted
    squares = error.square().sum(-1)
    return squares.mean() if weights is None else (weights * squares).mean()


def euler(net: Net, x: Tensor, steps: int) -> Iterator[Tensor]:
    """The states x_0, x_1, ..., x_steps of the flow, a tenth of its time apart."""
    yield x
    for i in range(steps):
        x = x + 1 / EULER_STEPS * velocity(net, x, x.new_tensor(i / EULER_STEPS))
        yield x
