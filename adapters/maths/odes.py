"""Initial value problems dx/dt = field(t, x), and a field that moves prototypes.

Fixed steps are our own, bit for bit those of torchdiffeq, which writes into a buffer that
`torch.vmap` cannot stack; dopri5 and the adjoint equation are torchdiffeq's. `rk4` is Kutta's 3/8
rule: order 4 like the classical one, other rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

import torch
from torch import Generator, Tensor
from torch.nn.functional import gelu, layer_norm, scaled_dot_product_attention
from torchdiffeq import odeint, odeint_adjoint

from adapters.maths import training

Field = Callable[[Tensor, Tensor], Tensor]
Net = Mapping[str, Tensor]
Step = Callable[[Field, Tensor, Tensor, Tensor], Tensor]
Solver = Literal["euler", "midpoint", "rk4", "dopri5"]
ADAPTIVE = "dopri5"  # its steps are those that the worst of a batch needs


def integrate(
    field: Field,
    start: Tensor,
    steps: int,
    solver: Solver,
    *,
    end: float = 1.0,
    tolerance: float = 1e-3,
    adjoint: tuple[Tensor, ...] | None = None,
) -> Tensor:
    """The states `[steps + 1, *start]` at equal distances from time 0 to `end`.

    Fixed-step solvers take one step from each state to the next; dopri5 takes its own, to relative
    and absolute `tolerance`. `adjoint` names the parameters whose gradient is to be found by the
    adjoint equation, in constant memory; without it gradients go back through the steps.
    """
    if steps == 0:
        return start[None]
    times = torch.linspace(0, end, steps + 1, dtype=start.dtype, device=start.device)
    if solver != ADAPTIVE and adjoint is None:
        states = [start]
        for t, dt in zip(times, times.diff(), strict=False):
            states.append(states[-1] + STEPS[solver](field, states[-1], t, dt))
        return torch.stack(states)
    options = {"method": solver, "rtol": tolerance, "atol": tolerance}
    if adjoint is None:
        found: Tensor = odeint(field, start, times, **options)
    else:
        found = odeint_adjoint(field, start, times, adjoint_params=adjoint, **options)
    return found


def _euler(field: Field, x: Tensor, t: Tensor, dt: Tensor) -> Tensor:
    return dt * field(t, x)


def _midpoint(field: Field, x: Tensor, t: Tensor, dt: Tensor) -> Tensor:
    half = 0.5 * dt
    return dt * field(t + half, x + half * field(t, x))


def _kutta(field: Field, x: Tensor, t: Tensor, dt: Tensor) -> Tensor:
    third = 1 / 3
    k1 = field(t, x)
    k2 = field(t + dt * third, x + dt * k1 * third)
    k3 = field(t + dt * (2 * third), x + dt * (k2 - k1 * third))
    k4 = field(t + dt, x + dt * (k1 - k2 + k3))
    return (k1 + 3 * (k2 + k3) + k4) * dt * 0.125


STEPS: Mapping[str, Step] = {"euler": _euler, "midpoint": _midpoint, "rk4": _kutta}


def new_velocity(d: int, width: int, attention: bool, generator: Generator) -> dict[str, Tensor]:
    """Parameters of `velocity` on `[..., c, d]`, hidden layers of `width`; untrained it is 0."""
    xavier = partial(training.xavier, generator=generator)
    weights = {
        "prototype": xavier(width, d),
        "support": xavier(width, d),
        "time.0": xavier(width, 1),
        "time.1": xavier(width, width),
        "mlp.0": xavier(2 * width, width),
        "mlp.1": xavier(width, 2 * width),
        "out": torch.zeros(d, width),
    }
    if attention:
        weights["attention.in"] = xavier(3 * width, width)
        weights["attention.out"] = xavier(width, width)
    return training.layers(weights)


def velocity(
    net: Mapping[str, Tensor], p: Tensor, support: Tensor, t: Tensor, heads: int
) -> Tensor:
    """A transformer block over classes: `p [..., c, d]` and `support [..., c, w]`, projected once.

    Permuting the classes permutes the result. Without attention each class moves alone.
    """
    h = training.apply(net, "prototype", p) + support
    return training.apply(net, "out", _hidden(net, h, t, heads))


def moved(
    net: Mapping[str, Tensor],
    start: Tensor,
    support: Tensor,
    heads: int,
    steps: int,
    solver: Solver,
) -> Tensor:
    """The prototypes `[steps + 1, ..., c, d]` that `velocity` moves from `start [..., c, d]`.

    They are moved by o z + b and seen through a matrix P, both linear, so that what is integrated
    is z, as wide as the network: P o is one small matrix for all steps. The same up to rounding.
    """
    if solver == ADAPTIVE:
        raise ValueError("dopri5 looks at the error of the prototypes themselves")
    inward, out, bias = net["prototype.weight"], net["out.weight"], net["out.bias"]
    within, drift = inward @ out, inward @ bias  # [w, w], [w]
    first = training.apply(net, "prototype", start) + support  # [..., c, w]

    def field(t: Tensor, y: Tensor) -> Tensor:
        return _hidden(net, first + y @ within.T + t * drift, t, heads)

    found = integrate(field, torch.zeros_like(first), steps, solver)
    times = torch.linspace(0, 1, steps + 1, dtype=start.dtype, device=start.device)
    gone = times.reshape(-1, *[1] * start.ndim) * bias
    return start + found @ out.T + gone


def _hidden(net: Mapping[str, Tensor], h: Tensor, t: Tensor, heads: int) -> Tensor:
    """What the last layer of `velocity` takes, of the sum `h [..., c, w]` of its first ones."""
    layer = partial(training.apply, net)
    time = layer("time.1", gelu(layer("time.0", t.reshape(1))))  # [w]
    h = _norm(h) + time
    if "attention.in.weight" in net:
        split = (*h.shape[:-1], 3, heads, h.shape[-1] // heads)
        q, k, v = layer("attention.in", _norm(h)).reshape(split).movedim(-3, 0).transpose(-2, -3)
        mixed = scaled_dot_product_attention(q, k, v)  # [..., heads, c, w / heads]
        h = h + layer("attention.out", mixed.transpose(-2, -3).flatten(-2))
    h = h + layer("mlp.1", gelu(layer("mlp.0", _norm(h))))
    return _norm(h)


def _norm(x: Tensor) -> Tensor:
    return layer_norm(x, x.shape[-1:])
