"""Flow matching with a fixed coupling, solved in closed form: no network and no training.

At an Euler time t the velocity is a regression from x_t = (1 - t) x0 + t x1 to x1 - x0; kernel
ridge regression solves it exactly,

    u(x, t) = k(x, X_t) A_t,   A_t = (k(X_t, X_t) + ridge I)^-1 (X1 - X0),
    k(x, y) = exp(-beta |x - y|^2 / 2)

and since the states on the way are met at the ten Euler times only, ten solves are the whole fit.
With more pairs than `landmarks`, random ones of them span the solution (Nystrom: subset of
regressors, Rasmussen and Williams 2006, section 8.3.1). Ours; in no paper.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Generator, Tensor
from torch.linalg import cholesky, solve_triangular

from adapters.maths.flows import EULER_STEPS

Flow = Mapping[str, Tensor]
BAND = 256  # columns of a symmetric matrix that are multiplied at once
JITTER = 1e-5  # of the landmarks' kernel, whose least eigenvalues float32 cannot tell from 0


def fit(
    x0: Tensor, x1: Tensor, beta: float, ridge: float, landmarks: int, generator: Generator
) -> dict[str, Tensor]:
    """The flow that carries rows of `x0 [n, d]` to those of `x1 [n, d]`: m centres, m weights."""
    kept = torch.arange(len(x0), device=x0.device)
    if len(x0) > landmarks:
        shuffled = torch.randperm(len(x0), generator=generator, device=generator.device)
        kept = shuffled[:landmarks].to(x0.device)
    weights = [
        _solve(_between(x0, x1, i), _between(x0[kept], x1[kept], i), x1 - x0, beta, ridge)
        for i in range(EULER_STEPS)
    ]
    return {
        "start": x0[kept],  # [m, d]
        "end": x1[kept],
        "weights": torch.stack(weights),  # [10, m, d]
        "beta": torch.tensor(beta),
    }


def euler(flow: Flow, x: Tensor, steps: int) -> Iterator[Tensor]:
    """The states x_0, x_1, ..., x_steps of the flow, a tenth of its time apart."""
    yield x
    for i in range(steps):
        x = x + velocity(flow, x, i) / EULER_STEPS
        yield x


def velocity(flow: Flow, x: Tensor, i: int) -> Tensor:
    """The field `[q, d]` at Euler time i / 10 of the states `x [q, d]`."""
    centres = _between(flow["start"], flow["end"], i)
    return kernel(x, centres, flow["beta"]) @ flow["weights"][i]


def kernel(x: Tensor, y: Tensor, beta: Tensor | float) -> Tensor:
    """exp(-beta |x - y|^2 / 2) for each row of `x [q, d]` and of `y [m, d]`."""
    half = x @ y.T
    half -= x.square().sum(1)[:, None] / 2
    half -= y.square().sum(1) / 2  # in place: fresh memory costs as much as the sums
    return half.clamp_(max=0).mul_(beta).exp_()


def _between(x0: Tensor, x1: Tensor, i: int) -> Tensor:
    t = i / EULER_STEPS
    return (1 - t) * x0 + t * x1


def _gram(phi: Tensor) -> Tensor:
    """The lower half of phi phi^T and some of the upper, all that `cholesky` reads."""
    gram = phi.new_zeros(len(phi), len(phi))
    for first in range(0, len(phi), BAND):
        band = slice(first, first + BAND)
        torch.mm(phi[first:], phi[band].T, out=gram[first:, band])
    return gram


def _solve(x: Tensor, centres: Tensor, wanted: Tensor, beta: float, ridge: float) -> Tensor:
    """Weights `[m, d]` of the centres, for `wanted [n, d]` at `x [n, d]`."""
    own = kernel(centres, centres, beta)  # [m, m]
    one = torch.eye(len(centres), device=x.device)
    if len(x) == len(centres):
        return torch.cholesky_solve(wanted, cholesky(own + ridge * one))
    # Features phi with phi phi^T = K_nm K_mm^-1 K_mn make it a ridge regression, which unlike its
    # normal equations in K_nm is well conditioned in float32.
    root = cholesky(own + JITTER * one)
    phi = solve_triangular(root, kernel(centres, x, beta), upper=False)  # [m, n]
    solved = torch.cholesky_solve(phi @ wanted, cholesky(_gram(phi) + ridge * one))
    weights: Tensor = solve_triangular(root.T, solved, upper=True)
    return weights
