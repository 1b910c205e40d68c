"""The local gradient flow: still while untrained, blind beyond its neighbours and to order."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from adapters.maths import local_flow

C, K, D, W, RIVALS = 5, 3, 6, 8, 2
LABELS = torch.tensor([0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1])
SWITCHES = {"attention": 4, "by_variance": True, "pull": True}


def parts(seed: int = 0) -> tuple[dict[str, Tensor], Tensor, Tensor, Tensor]:
    g = Generator().manual_seed(seed)
    net = local_flow.new(D, W, 4, g)
    net["local.gain"] = torch.ones(D)
    f, text = torch.randn(len(LABELS), D, generator=g), torch.randn(C, D, generator=g)
    return net, f, text, torch.randn(C, D, generator=g)


def neighbours(
    f: Tensor, slots: Tensor, seen: Tensor, text: Tensor, p: Tensor
) -> local_flow.Neighbours:
    return local_flow.neighbours(*local_flow.of_classes(f, slots, seen), text, p, RIVALS)


def flow(net: Any, f: Tensor, labels: Tensor, text: Tensor, p: Tensor, **off: Any) -> Tensor:
    seen = torch.ones(len(f), dtype=torch.bool)
    near = neighbours(f, local_flow.slots(labels, C), seen, text, p)
    return local_flow.velocity(net, p, near, torch.tensor(0.3), **(SWITCHES | off))


def test_untrained_it_stands_still() -> None:
    net, f, text, p = parts()
    net["local.gain"] = torch.zeros(D)
    assert not flow(net, f, LABELS, text, p).any()


@pytest.mark.parametrize("off", [{}, {"attention": 0}, {"by_variance": False}, {"pull": False}])
def test_numbering_of_classes_does_not_matter(off: dict[str, Any]) -> None:
    net, f, text, p = parts()
    order = torch.tensor([3, 0, 4, 1, 2])
    back = order.argsort()
    moved = flow(net, f, order[LABELS], text[back], p[back], **off)[order]
    torch.testing.assert_close(moved, flow(net, f, LABELS, text, p, **off), atol=1e-5, rtol=1e-4)


def test_pictures_of_far_classes_do_not_matter() -> None:
    net, f, text, p = parts()
    other = torch.where((LABELS == 0)[:, None], f, f + 1)
    same, before = flow(net, other, LABELS, text, p), flow(net, f, LABELS, text, p)
    torch.testing.assert_close(same[0], before[0])
    assert not torch.allclose(same[1:], before[1:])


def test_pictures_that_are_not_seen_do_not_matter() -> None:
    net, f, text, p = parts()
    seen = torch.rand(4, len(LABELS), generator=Generator().manual_seed(3)) < 0.5  # [e, n]
    starts, slots = p.expand(4, C, D), local_flow.slots(LABELS, C)
    near = neighbours(f.expand(4, -1, -1), slots, seen, text, starts)
    hidden = torch.where(seen[..., None], f, 100.0)
    other = neighbours(hidden, slots, seen, text, starts)
    t = torch.tensor(0.0)
    torch.testing.assert_close(
        local_flow.velocity(net, starts, near, t, 4, True, True),
        local_flow.velocity(net, starts, other, t, 4, True, True),
    )


def test_one_sample_and_no_rival_pull_straight_to_it() -> None:
    net, _, text, p = parts()
    near = local_flow.Neighbours(
        text[:, None], torch.ones(C, 1, dtype=torch.bool), local_flow.nearest(p, 0)
    )
    found = local_flow.velocity(net, p, near, torch.tensor(0.0), 4, True, pull=False)
    torch.testing.assert_close(found, text - p)


def test_a_class_is_never_its_own_rival() -> None:
    *_, p = parts()
    found = local_flow.nearest(torch.cat([p, p[:1]]), 99)
    assert found.shape == (C + 1, C)
    assert not (found == torch.arange(C + 1)[:, None]).any()
    assert found[0, 0] == C  # its twin comes first


def test_fusion_trusts_the_steady_head() -> None:
    g = torch.tensor([[1.0, 0.0], [1.0, 0.0], [9.0, 9.0]])
    w = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]])
    fused = local_flow._fused(w, g, by_variance=True)
    torch.testing.assert_close(fused, g[0], atol=1e-4, rtol=0)
    torch.testing.assert_close(local_flow._fused(w, g, False), (w @ g).mean(0))
