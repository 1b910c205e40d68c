"""Prototypes: unit means, the mixture of two softmaxes, the released search."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypotheses
from hypothesis import strategies as st
from torch import Generator

from adapters import compose
from adapters.methods import _prototypes as prototypes
from tests.adapters.episodes import make_episode, queries, unit

PROTO = compose.get("proto-clip")


def test_means_are_unit_and_0_without_pictures() -> None:
    x, labels = torch.randn(6, 4, generator=Generator()), torch.tensor([2, 0, 2, 0, 2, 4])
    found = prototypes.means(x, labels, 5)
    for c in (0, 2, 4):
        torch.testing.assert_close(found[c], unit(x[labels == c].mean(0)))
    assert not found[[1, 3]].any()


@hypotheses(deadline=None, max_examples=30)
@given(share=st.floats(0, 1), sharpness=st.floats(0.1, 20), seed=st.integers(0, 99))
def test_the_mixture_is_a_distribution_over_classes(
    share: float, sharpness: float, seed: int
) -> None:
    g = Generator().manual_seed(seed)
    images, text, q = (unit(torch.randn(n, 4, generator=g).double()) for n in (3, 3, 5))
    found = prototypes.log_probability(images, text, share, sharpness, q).exp()
    torch.testing.assert_close(found.sum(1), torch.ones(5).double())
    near = [(-sharpness * torch.cdist(q, p).square()).softmax(1) for p in (images, text)]
    torch.testing.assert_close(found, share * near[0] + (1 - share) * near[1])


def test_at_its_ends_the_mixture_has_a_gradient() -> None:
    a = torch.tensor([math.log(0.3)], requires_grad=True)
    b = torch.tensor([math.log(0.7)], requires_grad=True)
    for share, wanted in ((0, b), (1, a), (0.0, b), (1.0, a)):
        found = prototypes.mix(a, b, share)
        assert found is wanted
    [slope] = torch.autograd.grad(prototypes.mix(a, b, 0.5).sum(), a)
    assert slope.item() == pytest.approx(0.3)


def test_the_search_is_the_released_one() -> None:
    axes = PROTO.space(PROTO.config()).logits
    assert axes["share"] == tuple(i / 10 for i in range(11))
    assert axes["sharpness"] == (*(i / 10 for i in range(1, 10)), *range(1, 21))


def test_the_whole_search_is_the_logits_at_each_choice() -> None:
    state, config = prototypes.start(make_episode()), prototypes.PrototypeConfig()
    axes, q = prototypes.space(config).logits, unit(queries())
    found = list(prototypes.logits_over(state, config, q, axes))
    assert len(found) == 29 * 11
    for choice, logits in found[::13]:
        wanted = prototypes.log_probability(state["images"], state["text"], **choice, q=q)
        torch.testing.assert_close(logits, wanted)
    [(choice, logits)] = prototypes.logits_over(state, config, q, {})
    wanted = prototypes.log_probability(state["images"], state["text"], 0.5, 20.0, q)
    assert choice == {}
    torch.testing.assert_close(logits, wanted)
