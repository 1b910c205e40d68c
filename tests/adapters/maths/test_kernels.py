"""The exponential kernel: Gram identities, sums by class, ridge and Nyström against references."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics.pairwise import rbf_kernel
from torch import Generator, Tensor
from torch.nn.functional import normalize, one_hot

from adapters.maths import kernels


def units(rows: int, d: int = 6, seed: int = 0) -> Tensor:
    return normalize(torch.randn(rows, d, generator=Generator().manual_seed(seed)), dim=1)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 999), beta=st.floats(0.1, 20))
def test_it_is_the_gaussian_kernel_of_unit_vectors(seed: int, beta: float) -> None:
    x, z = units(7, seed=seed), units(4, seed=seed + 1)
    wanted = rbf_kernel(x.double().numpy(), z.double().numpy(), gamma=beta / 2)
    np.testing.assert_allclose(kernels.affinity(x, z, beta), wanted, rtol=1e-4, atol=1e-6)


def test_its_gram_matrix_is_positive_with_ones_on_the_diagonal() -> None:
    gram = kernels.affinity(units(30), units(30), 3.0)
    torch.testing.assert_close(gram.diagonal(), torch.ones(30), atol=1e-5, rtol=0)
    torch.testing.assert_close(gram, gram.T)
    assert torch.linalg.eigvalsh(gram.double()).min() > -1e-5


def test_sums_over_classes_are_the_product_with_one_hot_labels() -> None:
    values, labels = torch.randn(9, 4), torch.tensor([2, 0, 2, 4, 4, 4, 0, 1, 2])
    wanted = one_hot(labels, 6).float().T @ values  # classes 3 and 5 have no rows
    torch.testing.assert_close(kernels.class_sums(values, labels, 6), wanted)


@pytest.mark.parametrize("cached", [1, 30, 2**18])
def test_sums_by_class_in_portions_are_the_product_with_one_hot_labels(
    cached: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    g = Generator().manual_seed(0)
    near = (torch.rand(40, 9, generator=g) - 1).requires_grad_()
    labels = torch.randint(5, (40,), generator=g)
    monkeypatch.setattr("adapters.maths.kernels.CACHED", cached)
    found = kernels.class_affinity(near, labels, 6, 3.0)
    wanted = one_hot(labels, 6).float().T @ (3 * near).exp()
    torch.testing.assert_close(found, wanted)
    slopes = [torch.autograd.grad(each.square().sum(), near)[0] for each in (found, wanted)]
    torch.testing.assert_close(*slopes)


def test_portions_fit_where_the_numbers_lie() -> None:
    assert kernels.portion(torch.zeros(1)) == 2**18
    assert kernels.portion(torch.zeros(1, device="meta")) == 2**26
    assert kernels.class_affinity(torch.zeros(3, 0), torch.zeros(3).long(), 2, 1.0).shape == (2, 0)


@pytest.mark.parametrize("lambda_", [0.03, 1.0, 50.0])
def test_ridge_is_scikit_learns(lambda_: float) -> None:
    x, wanted, queries = units(25), torch.randn(25, 3), units(8, seed=5)
    path = kernels.ridge(x, lambda b, rows: b.T @ wanted[rows], 2.0, 25, 5, Generator())
    found = kernels.predict(path, kernels.coordinates(path, queries, 2.0), lambda_)
    reference = KernelRidge(alpha=1 / lambda_, kernel="rbf", gamma=1.0).fit(x, wanted)
    np.testing.assert_allclose(found, reference.predict(queries), rtol=1e-3, atol=1e-3)


def test_whitening_makes_the_kernel_the_identity() -> None:
    kernel = kernels.affinity(units(10), units(10), 3.0)
    whitening = kernels._whitening(kernel)
    torch.testing.assert_close(whitening.T @ kernel @ whitening, torch.eye(10), atol=1e-3, rtol=0)


def test_whitening_leaves_out_what_is_rounding() -> None:
    """The same point twice makes an eigenvalue of 0."""
    x = torch.cat([units(5), units(5)[:2]])
    whitening = kernels._whitening(kernels.affinity(x, x, 3.0))
    assert whitening.isfinite().all()
    assert int((whitening.abs().sum(0) > 0).sum()) == 5


@pytest.mark.parametrize(("chunk", "leading"), [(7, 2), (7, 32), (4096, 2)])
def test_nystrom_is_ridge_regression_on_its_features(
    chunk: int, leading: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """(Phi^T Phi + I / lambda) w = Phi^T T, with Phi Phi^T = K_nm K_mm^-1 K_mn, in float64."""
    monkeypatch.setattr(kernels, "CHUNK", chunk)
    monkeypatch.setattr(kernels, "LEADING", leading)
    x, wanted, queries = units(40), torch.randn(40, 3), units(8, seed=5)
    path = kernels.ridge(
        x, lambda b, rows: b.T @ wanted[rows], 2.0, 39, 6, Generator().manual_seed(3)
    )
    chosen = torch.randperm(40, generator=Generator().manual_seed(3))[:6]
    assert torch.equal(path["keys"], x[chosen])
    z = x[chosen].double().numpy()
    across, own = (rbf_kernel(a, z, gamma=1.0) for a in (x.double().numpy(), z))
    # Weights on the landmarks: (K_mn K_nm + K_mm / lambda) a = K_mn T.
    a = np.linalg.solve(across.T @ across + own / 0.7, across.T @ wanted.double().numpy())
    found = kernels.predict(path, kernels.coordinates(path, queries, 2.0), 0.7)
    at = rbf_kernel(queries.double().numpy(), z, gamma=1.0)
    np.testing.assert_allclose(found, at @ a, rtol=1e-2, atol=1e-2)


@settings(deadline=None, max_examples=20)
@given(
    seed=st.integers(0, 999),
    beta=st.floats(0.02, 10),
    lambda_=st.floats(1e-3, 100),
    weighted=st.booleans(),
    cone=st.floats(0, 3),
)
def test_nystrom_with_most_features_later_is_that_with_all_of_them_first(
    seed: int, beta: float, lambda_: float, weighted: bool, cone: float
) -> None:
    """Off by no more than a few times what the plain way is, in float32, of float64."""
    g = Generator().manual_seed(seed)
    x = normalize(torch.randn(300, 40, generator=g) + cone * torch.randn(40, generator=g), dim=1)
    wanted, queries = torch.randn(300, 3, generator=g), x[:50].flip(1)
    weights = 0.5 + torch.rand(300, generator=g) if weighted else None

    def values(few: float, kind: torch.dtype) -> Tensor:
        rows, targets = x.to(kind), wanted.to(kind)
        counted = None if weights is None else weights.to(kind)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kernels, "FEW", few)
            path = kernels.ridge(
                rows, lambda b, some: b.T @ targets[some], beta, 1, 90, Generator(), counted
            )
        return kernels.predict(path, kernels.coordinates(path, queries.to(kind), beta), lambda_)

    exact, plain, later = (
        values(few, kind)
        for few, kind in ((2, torch.float64), (2, torch.float32), (0, torch.float32))
    )
    off = float((plain - exact).abs().max())
    assert float((later - exact).abs().max()) < 5 * off + 1e-4
