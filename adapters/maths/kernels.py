"""The exponential kernel between unit embeddings, sums over classes, and ridge regression with it.

    k(x, z) = exp(-beta (1 - x z^T))
    prediction = k(f, Z) B diag(1 / (e + 1/lambda)) R

Ridge regression solves (K + I/lambda) A = T; where a row counts w, its lambda is w lambda. With
K = B diag(e) B^T and R = B^T T it is free for every lambda. Where there are too many rows, Nyström:
with landmarks Z the features k(x, Z) V u^-1/2 (V, u the eigenvectors and eigenvalues of k(Z, Z))
take the place of the kernel (Williams and Seeger 2001), and the same four tensors describe the
prediction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Generator, Tensor

CHUNK = 4096  # rows of the kernel that are in memory at once
BAND = 256  # columns of a symmetric matrix that are multiplied at once
CACHED, LARGE = 2**18, 2**26  # numbers in a portion
SMALL = 1e-5  # eigenvalues below this share of the largest are float32's rounding


def portion(x: Tensor) -> int:
    """How many numbers to work on at once where x lies.

    As many as stay in a processor's cache from one step to the next, or as keep a GPU busy.
    """
    return CACHED if x.device.type == "cpu" else LARGE


def affinity(x: Tensor, z: Tensor, beta: float) -> Tensor:
    """k(x, z) `[n, m]` of unit `x [n, d]` and `z [m, d]`."""
    # One pass over [n, m] in place of three; at 16,000 rows that is what costs.
    return torch.addmm(x.new_tensor(-beta), x, z.T, alpha=beta).exp()


def class_sums(values: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Sums of `values [n, q]` over the rows of each class, `[c, q]`: Y^T values without Y."""
    return values.new_zeros(classes, values.shape[1]).index_add(0, labels, values)


def class_affinity(
    near: Tensor, labels: Tensor, classes: int, beta: float, weights: Tensor | None = None
) -> Tensor:
    """Sums of k over the rows of each class `[c, q]`, from cosines less 1, `near [n, q]`.

    `weights [n]` are what each row counts.
    """
    sums = near.new_zeros(classes, near.shape[1])
    rows = max(portion(near) // max(near.shape[1], 1), 1)
    if torch.compiler.is_compiling():  # an exported head is asked about any number of queries
        rows = len(near)
    # Split at once: the gradient of a slice alone is as large as the whole.
    parts = [labels] if weights is None else [labels, weights]
    for some, y, *counts in zip(*(torch.split(p, rows) for p in (near, *parts)), strict=True):
        values = (beta * some).exp_()
        sums.index_add_(0, y, values * counts[0][:, None] if counts else values)
    return sums


def ridge(
    x: Tensor,
    onto: Callable[[Tensor, slice], Tensor],
    beta: float,
    most: int,
    landmarks: int,
    generator: Generator,
    weights: Tensor | None = None,
) -> dict[str, Tensor]:
    """What predicts T `[n, c]` from unit `x [n, d]` for any lambda.

    T is known by its products: `onto(b, rows)` is b^T T for `b [r, m]` of these rows. Exact up to
    `most` rows, beyond them Nyström with so many random rows as landmarks. `weights [n]` are what
    each row counts.
    """
    [path] = ridges(x, onto, [beta], most, landmarks, generator, weights)
    return path


def ridges(
    x: Tensor,
    onto: Callable[[Tensor, slice], Tensor],
    betas: Sequence[float],
    most: int,
    landmarks: int,
    generator: Generator,
    weights: Tensor | None = None,
) -> Iterator[dict[str, Tensor]]:
    """The same for several betas, one after the other, on the same landmarks."""
    root = None if weights is None else weights.sqrt()[:, None]  # [n, 1]
    if len(x) <= most:
        near = x @ x.T - 1
        for beta in betas:
            kernel = (beta * near).exp_()
            kernel = kernel if root is None else root * kernel * root.T
            spectrum, basis = torch.linalg.eigh(kernel)
            basis = basis if root is None else root * basis
            yield _path(x, basis, spectrum, onto(basis, slice(None)))
        return
    chosen = torch.randperm(len(x), generator=generator, device=generator.device)[:landmarks]
    z = x[chosen.to(x.device)]  # [m, d]
    parts = [slice(first, first + CHUNK) for first in range(0, len(x), CHUNK)]
    kept = x @ z.T - 1 if len(x) * len(z) <= LARGE else None  # the same for every beta
    for beta in betas:
        features = _whitening(affinity(z, z, beta))  # [m, k]
        gram, moments = x.new_zeros(features.shape[1], features.shape[1]), x.new_zeros(())
        for some in parts:
            away = x[some] @ z.T - 1 if kept is None else kept[some]
            phi = (beta * away).exp_() @ features  # [r, k]
            counted = phi if weights is None else phi * weights[some, None]
            for column in range(0, len(gram), BAND):  # of the lower half, all that `eigh` reads
                band = slice(column, column + BAND)
                gram[column:, band] += counted[:, column:].T @ phi[:, band]
            moments = moments + onto(counted, some)
        spectrum, turn = torch.linalg.eigh(gram)
        yield _path(z, features @ turn, spectrum, turn.T @ moments)


def _path(z: Tensor, basis: Tensor, spectrum: Tensor, moments: Tensor) -> dict[str, Tensor]:
    # The kernel is positive: what is below 0 is rounding.
    return {"keys": z, "basis": basis, "spectrum": spectrum.clamp(min=0), "moments": moments}


def _whitening(kernel: Tensor) -> Tensor:
    spectrum, vectors = torch.linalg.eigh(kernel)
    kept = spectrum > SMALL * spectrum[-1]
    whitening: Tensor = vectors[:, kept] * spectrum[kept].rsqrt()
    return whitening


def coordinates(path: dict[str, Tensor], f: Tensor, beta: float) -> Tensor:
    """k(f, Z) B `[q, m]` of unit queries `f [q, d]`; the same for every lambda."""
    return affinity(f, path["keys"], beta) @ path["basis"]


def predict(path: dict[str, Tensor], at: Tensor, lambda_: float) -> Tensor:
    """The regression's values `[q, c]` at the queries' coordinates `[q, m]`."""
    return (at / (path["spectrum"] + 1 / lambda_)) @ path["moments"]
