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

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Generator, Tensor

CHUNK = 2**14  # rows of the kernel that are in memory at once
BANDS = 3  # of columns, in which half of a symmetric matrix is multiplied
CACHED, LARGE = 2**18, 2**26  # numbers in a portion
LEADING, FEW = 32, 0.4  # features that rows are multiplied with, and the share below which all are
SMALL = 1e-5  # eigenvalues below this share of the largest are float32's rounding


def portion(x: Tensor) -> int:
    """How many numbers to work on at once where x lies.

    As many as stay in a processor's cache from one step to the next, or as keep a GPU busy.
    """
    return CACHED if x.device.type == "cpu" else LARGE


def affinity(x: Tensor, z: Tensor, beta: float | Tensor) -> Tensor:
    """k(x, z) `[n, m]` of unit `x [n, d]` and `z [m, d]`; `beta` may be a tensor `[]`."""
    if isinstance(beta, Tensor):  # found by a fit, and no constant of an exported head
        return (beta * (x @ z.T - 1)).exp()
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
        apart = x @ x.T - 1
        for beta in betas:
            kernel = (beta * apart).exp_()
            kernel = kernel if root is None else root * kernel * root.T
            spectrum, basis = torch.linalg.eigh(kernel)
            basis = basis if root is None else root * basis
            yield _path(x, basis, spectrum, onto(basis, slice(None)))
        return
    chosen = torch.randperm(len(x), generator=generator, device=generator.device)[:landmarks]
    z = x[chosen.to(x.device)]  # [m, d]
    near = x @ z.T - 1 if len(x) * len(z) <= LARGE else None  # the same for every beta
    room = x.new_empty(min(len(x), CHUNK), LEADING + len(z))  # new memory costs as much as `exp`
    for beta in betas:
        yield _nystrom(x, z, near, onto, beta, weights, room)


def _nystrom(
    x: Tensor,
    z: Tensor,
    near: Tensor | None,
    onto: Callable[[Tensor, slice], Tensor],
    beta: float,
    weights: Tensor | None,
    room: Tensor,
) -> dict[str, Tensor]:
    first, rest = _divided(_whitening(affinity(z, z, beta)))  # [m, l], [m, k - l]
    back = (first / first.square().sum(0)).T  # [l, m]: k(x, Z), of what that is times `first`
    gram, moments = x.new_zeros(()), x.new_zeros(())
    for start in range(0, len(x), CHUNK):
        some = slice(start, start + CHUNK)
        away = x[some] @ z.T - 1 if near is None else near[some]
        wide = room[: len(away)]
        kernel = torch.mul(away, beta, out=wide[:, LEADING:]).exp_()  # [r, m]
        if len(rest.T):
            known = torch.mm(kernel, first, out=wide[:, :LEADING])
            kernel.addmm_(known, back, alpha=-1)
        else:
            wide = kernel @ first
        counted = wide if weights is None else wide * weights[some, None]
        gram, moments = gram + _lower(counted, wide), moments + onto(counted, some)
    if not len(rest.T):
        spectrum, turn = torch.linalg.eigh(gram)
        return _path(z, first @ turn, spectrum, turn.T @ moments)
    whole = torch.eye(LEADING).to(x)
    narrow: Tensor = torch.block_diag(whole, rest)  # type: ignore[no-untyped-call]  # [l + m, k]
    spectrum, turn = torch.linalg.eigh(narrow.T @ (gram.tril() + gram.tril(-1).T) @ narrow)
    turn = narrow @ turn
    return _path(z, first @ turn[:LEADING] + turn[LEADING:], spectrum, turn.T @ moments)


def _lower(a: Tensor, b: Tensor) -> Tensor:
    """The lower half of a symmetric a^T b `[m, m]`, all that `eigh` reads; some of the rest."""
    product = a.new_zeros(a.shape[1], b.shape[1])
    band = -(-len(product) // BANDS)
    for column in range(0, len(product), band):
        some = slice(column, column + band)
        product[column:, some] = a[:, column:].T @ b[:, some]
    return product


def _divided(features: Tensor) -> tuple[Tensor, Tensor]:
    """Those of `features [m, k]` that rows are multiplied with, one by one, and the others.

    The others can wait until products of the rows are summed, which saves half the work. Products
    of k(x, Z) itself would round away what small eigenvalues tell; without the largest they do not.
    """
    rows, columns = features.shape
    size = columns if columns < max(FEW * rows, LEADING) else LEADING
    return features[:, -size:], features[:, :-size]


def _path(z: Tensor, basis: Tensor, spectrum: Tensor, moments: Tensor) -> dict[str, Tensor]:
    # The kernel is positive: what is below 0 is rounding.
    return {"keys": z, "basis": basis, "spectrum": spectrum.clamp(min=0), "moments": moments}


def _whitening(kernel: Tensor) -> Tensor:
    spectrum, vectors = torch.linalg.eigh(kernel)
    kept = spectrum > SMALL * spectrum[-1]
    whitening: Tensor = vectors[:, kept] * spectrum[kept].rsqrt()
    return whitening


def coordinates(path: dict[str, Tensor], f: Tensor, beta: float | Tensor) -> Tensor:
    """k(f, Z) B `[q, m]` of unit queries `f [q, d]`; the same for every lambda."""
    return affinity(f, path["keys"], beta) @ path["basis"]


def predict(path: Mapping[str, Tensor], at: Tensor, lambda_: float | Tensor) -> Tensor:
    """The regression's values `[q, c]` at the queries' coordinates `[q, m]`."""
    return (at / (path["spectrum"] + 1 / lambda_)) @ path["moments"]
