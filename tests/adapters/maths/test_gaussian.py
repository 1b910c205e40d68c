"""One Gaussian a class: means, scatter and shrinkage against NumPy and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.covariance import empirical_covariance
from torch import Generator, Tensor

from adapters.maths import gaussian

LABELS = torch.tensor([0, 1, 2, 0, 1, 2, 0, 0, 1, 2, 2, 2])


def points(d: int = 4, seed: int = 0) -> Tensor:
    noise = torch.randn(len(LABELS), d, generator=Generator().manual_seed(seed))
    return noise + 3 * torch.eye(3, d)[LABELS]


def precision(scatter: np.ndarray, n: float) -> np.ndarray:
    d = len(scatter)
    return np.asarray(d * np.linalg.pinv(scatter + np.trace(scatter) / (n - 1) * np.eye(d)))


def test_means_and_scatter_are_numpys() -> None:
    x = points()
    weights, biases = gaussian.discriminant([gaussian.unweighted(x, LABELS)], 3)
    f, y = x.double().numpy(), LABELS.numpy()
    mu = np.stack([f[y == c].mean(0) for c in range(3)])
    scatter = 12 * empirical_covariance(f - mu[y], assume_centered=True)
    p = precision(scatter, 12)
    np.testing.assert_allclose(weights, mu @ p, rtol=1e-4)
    wanted = [math.log(1 / 3) - m @ p @ m / 2 for m in mu]
    np.testing.assert_allclose(biases, wanted, rtol=1e-4)


def test_a_weight_counts_a_sample_so_many_times() -> None:
    x, weight = points(), torch.tensor([1.0, 2, 3] * 4)
    times = weight.long()
    block = gaussian.Block(x, LABELS, weight)
    repeated = gaussian.unweighted(x.repeat_interleave(times, 0), LABELS.repeat_interleave(times))
    for found, wanted in zip(
        gaussian.discriminant([block], 3), gaussian.discriminant([repeated], 3), strict=True
    ):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_blocks_are_as_good_as_one() -> None:
    x = points()
    parts = [gaussian.unweighted(x[i::3], LABELS[i::3]) for i in range(3)]
    whole = gaussian.discriminant([gaussian.unweighted(x, LABELS)], 3)
    for found, wanted in zip(gaussian.discriminant(parts, 3), whole, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_a_class_without_samples_has_mean_0() -> None:
    means = gaussian.class_means([gaussian.unweighted(points(), LABELS)], 5)
    assert means.shape == (5, 4)
    assert not means[3:].any()
    torch.testing.assert_close(means[1], points()[LABELS == 1].mean(0))


def test_without_spread_within_it_is_isotropic_by_the_means() -> None:
    """One sample a class: S is s I with s the variance between the means, n - 1 times."""
    x = points()[:3]
    weights, biases = gaussian.discriminant([gaussian.unweighted(x, LABELS[:3])], 3)
    s = x.var(0).mean().item()
    # (n - 1) s I + trace / (n - 1) I, with n = 3 and a trace of 2 * 4 s.
    factor = 4 / (2 * s + 4 * s)
    torch.testing.assert_close(weights, factor * x)
    wanted = -math.log(3) - factor * x.square().sum(1) / 2
    torch.testing.assert_close(biases, wanted)


@pytest.mark.parametrize("classes", [1, 3])
def test_not_even_means_that_are_one_break_it(classes: int) -> None:
    x, labels = torch.ones(classes, 4), torch.arange(classes)
    for found in gaussian.discriminant([gaussian.unweighted(x, labels)], classes):
        assert found.isfinite().all()
