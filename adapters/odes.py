"""Initial value problems dx/dt = field(t, x), solved by torchdiffeq (Chen et al. 2018)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torchdiffeq import odeint, odeint_adjoint

Field = Callable[[Tensor, Tensor], Tensor]
Solver = Literal["euler", "midpoint", "rk4", "dopri5"]


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
    options = {"method": solver, "rtol": tolerance, "atol": tolerance}
    if adjoint is None:
        states: Tensor = odeint(field, start, times, **options)
    else:
        states = odeint_adjoint(field, start, times, adjoint_params=adjoint, **options)
    return states
