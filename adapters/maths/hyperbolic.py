"""Hyperbolic space of curvature -c, as the Poincare ball or as the Lorentz model.

    ball      exp0(v) = tanh(r) v / r,   r = sqrt(c) |v|,   |x| < 1 / sqrt(c)
              sinh^2(sqrt(c) d / 2) = c |x - y|^2 / ((1 - c |x|^2) (1 - c |y|^2))
    Lorentz   exp0(v) = sinh(r) v / r,   time = sqrt(1 / c + |x|^2), left out of the tensors
              sinh^2(sqrt(c) d / 2) = sinh^2((a - b) / 2) + c |x| |y| |x / |x| - y / |y||^2 / 4,
              sinh(a) = sqrt(c) |x|, sinh(b) = sqrt(c) |y|

d(0, exp0(v)) is 2 |v| in the ball (the convention of Ganea et al. 2018, metric 4 |dx|^2 at the
origin) and |v| in the Lorentz model. Both distances are sums of positive terms below an asinh, so
that nothing cancels and nothing overflows near the boundary in float32, as it would in artanh of
the Mobius difference or arcosh of the Lorentz product.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, tensor
from torch.linalg import vector_norm
from torch.nn.functional import normalize

Model = Literal["poincare", "lorentz"]
EDGE = 1e-3  # the ball's points stay this share of its radius away from its boundary
FAR = 12.0  # the Lorentz model's points stay this far, in units of 1 / sqrt(c), from the origin
TINY = 1e-12


def clip(v: Tensor, radius: float) -> Tensor:
    """Vectors `[..., d]`, those longer than the radius cut to it."""
    return v * (radius / _norm(v)).clamp(max=1)


def exp0(v: Tensor, c: Tensor | float, model: Model) -> Tensor:
    """The points `[..., d]` that tangent vectors at the origin lead to, off the boundary."""
    r = _norm(v) * _root(c, v)
    if model == "lorentz":
        return v * (r.clamp(max=FAR).sinh() / r)
    return project(v * (r.tanh() / r), c)


def project(x: Tensor, c: Tensor | float) -> Tensor:
    """Points `[..., d]` of the ball, those at its edge or beyond drawn back inside."""
    most = (1 - EDGE) / _root(c, x)
    return x * (most / _norm(x)).clamp(max=1)


def distances(x: Tensor, y: Tensor, c: Tensor | float, model: Model) -> Tensor:
    """Geodesic distances `[..., m, n]` from `x [..., m, d]` to `y [..., n, d]`."""
    root = _root(c, x)
    half = _half_lorentz(x, y, root) if model == "lorentz" else _half_ball(x, y, root)
    return 2 * half.asinh() / root


def _half_ball(x: Tensor, y: Tensor, root: Tensor) -> Tensor:
    """sinh(sqrt(c) d / 2) in the ball."""

    def gap(p: Tensor) -> Tensor:  # 1 - c |p|^2, as a product because it is small at the edge
        norm = root * _norm(p)
        return (1 - norm) * (1 + norm)

    return root * _apart(x, y) / (gap(x) * gap(y).mT).sqrt()


def _half_lorentz(x: Tensor, y: Tensor, root: Tensor) -> Tensor:
    """sinh(sqrt(c) d / 2) in the Lorentz model, by the hyperbolic law of cosines."""
    a, b = root * _norm(x), (root * _norm(y)).mT  # [..., m, 1], [..., 1, n]
    along = ((a.asinh() - b.asinh()) / 2).sinh()
    across = (a * b).sqrt() * _apart(normalize(x, dim=-1), normalize(y, dim=-1)) / 2
    # The root of two squares has no gradient where both are 0.
    return (along.square() + across.square()).clamp(min=TINY**2).sqrt()


def _apart(x: Tensor, y: Tensor) -> Tensor:
    """Euclidean distances; in float64, as the product x y would lose the small ones in float32."""
    u, w = x.double(), y.double()
    square = u.square().sum(-1, keepdim=True) + w.square().sum(-1, keepdim=True).mT - 2 * u @ w.mT
    return square.clamp(min=TINY**2).sqrt().to(x)


def _norm(v: Tensor) -> Tensor:
    length: Tensor = vector_norm(v, dim=-1, keepdim=True)
    return length.clamp(min=TINY)


def _root(c: Tensor | float, like: Tensor) -> Tensor:
    return (c if isinstance(c, Tensor) else tensor(c)).to(like).sqrt()
