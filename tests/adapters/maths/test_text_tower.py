"""The tower's shortcuts give what the plain way gives, embeddings and gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from adapters.maths import text_tower
from adapters.maths.text_tower import Tower
from tests.adapters.speaking import random_tower

KINDS = [("quick_gelu", False), ("gelu", True), ("gelu_tanh", False)]
SHARED, GROUPS, ENDS = 4, 2, torch.tensor([2, 5, 0])


def by_hand(tower: Tower, x: Tensor) -> Tensor:
    """All positions `[b, l, d]` of whole sequences `[b, l, w]`, by torch's own attention."""
    w = tower.weights

    def norm(name: str, x: Tensor) -> Tensor:
        return nn.functional.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"])

    x = x + w["positional_embedding"][: x.shape[1]]
    mask = torch.full([x.shape[1]] * 2, -torch.inf, dtype=x.dtype).triu(1)
    for i in range(tower.layers):
        name = f"blocks.{i}"
        attention = nn.MultiheadAttention(tower.width, tower.heads, batch_first=True, dtype=x.dtype)
        held = {n.partition(".attn.")[2]: each for n, each in w.items() if f"{name}.attn." in n}
        attention.load_state_dict(held)
        y = norm(f"{name}.ln_1", x)
        y = attention(y, y, y, attn_mask=mask, need_weights=False)[0]
        x = x + y * w.get(f"{name}.ls_1.gamma", 1)
        y = norm(f"{name}.ln_2", x) @ w[f"{name}.mlp.c_fc.weight"].T + w[f"{name}.mlp.c_fc.bias"]
        if tower.activation == "quick_gelu":
            y = y * torch.sigmoid(1.702 * y)
        else:
            kind = "tanh" if tower.activation == "gelu_tanh" else "none"
            y = nn.functional.gelu(y, approximate=kind)
        y = y @ w[f"{name}.mlp.c_proj.weight"].T + w[f"{name}.mlp.c_proj.bias"]
        x = x + y * w.get(f"{name}.ls_2.gamma", 1)
    return norm("ln_final", x) @ w["projection"] + w.get("projection_bias", 0)


def sequences(tower: Tower) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    own = torch.randn(GROUPS, len(ENDS), 6, tower.width, generator=g, dtype=torch.float64)
    shared = torch.randn(GROUPS, SHARED, tower.width, generator=g, dtype=torch.float64)
    return own.requires_grad_(), shared.requires_grad_()


@pytest.mark.parametrize(("activation", "extra"), KINDS)
@pytest.mark.parametrize("sparing", [False, True])
def test_sharing_cutting_and_ends_alone_change_nothing(
    activation: str, extra: bool, sparing: bool
) -> None:
    tower = random_tower(activation=activation, extra=extra, layers=3, out=8)
    tower = tower.to(dtype=torch.float64)
    own, shared = sequences(tower)
    found = text_tower.encode(tower, own, ENDS, shared, sparing=sparing)
    whole = torch.cat([shared[:, None].expand(-1, len(ENDS), -1, -1), own], 2).flatten(0, 1)
    padded = torch.cat([whole, torch.ones(len(whole), 9, tower.width)], 1)
    every = by_hand(tower, padded)
    wanted = every[torch.arange(len(whole)), (ENDS + SHARED).repeat(GROUPS)].view(found.shape)
    torch.testing.assert_close(found, wanted, atol=1e-12, rtol=1e-12)
    weights = torch.randn(found.shape, dtype=torch.float64)
    ours, theirs = (
        torch.autograd.grad((each * weights).sum(), (own, shared), retain_graph=True)
        for each in (found, wanted)
    )
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-11, rtol=1e-11)


def test_without_a_shared_beginning_it_is_the_same() -> None:
    tower = random_tower().to(dtype=torch.float64)
    own, shared = sequences(tower)
    whole = torch.cat([shared[:, None].expand(-1, len(ENDS), -1, -1), own], 2)
    one = text_tower.encode(tower, own, ENDS, shared)
    other = text_tower.encode(tower, whole, ENDS + SHARED)
    torch.testing.assert_close(one, other, atol=1e-12, rtol=1e-12)


def test_blocks_may_be_gone_through_in_parts_and_what_is_shared_be_joined() -> None:
    tower = random_tower(layers=4).to(dtype=torch.float64)
    own, shared = sequences(tower)
    x, before = text_tower.placed(tower, own, shared)
    x, before = text_tower.through(tower, x, before, range(2))
    assert before is not None
    joined = torch.cat([before[:, None].expand(-1, len(ENDS), -1, -1), x], 2)
    joined, _ = text_tower.through(tower, joined, None, range(2, 3))
    found = text_tower.ended(tower, joined, ENDS + SHARED)
    wanted = text_tower.encode(tower, own, ENDS, shared)
    torch.testing.assert_close(found, wanted, atol=1e-12, rtol=1e-12)


def test_what_is_added_beside_is_that_of_other_weights() -> None:
    tower = random_tower().to(dtype=torch.float64)
    own, shared = sequences(tower)
    more = torch.randn(3 * tower.width, tower.width, dtype=torch.float64)
    name = "blocks.1.attn.in_proj_weight"
    other = Tower(**{**vars(tower), "weights": {**tower.weights, name: tower.weights[name] + more}})
    found = text_tower.encode(
        tower, own, ENDS, shared, beside=lambda i, x: x @ more.T if i == 1 else 0 * x @ more.T
    )
    wanted = text_tower.encode(other, own, ENDS, shared)
    torch.testing.assert_close(found, wanted, atol=1e-11, rtol=1e-11)


def test_half_products_hold_to_their_precision() -> None:
    tower = random_tower(scale=0.2)
    own, shared = (each.detach().float() for each in sequences(tower))
    exact = text_tower.encode(tower, own, ENDS, shared)
    quick = tower.multiplying(torch.bfloat16)
    assert quick.dtype == torch.bfloat16
    assert quick.weights["ln_final.weight"].dtype == torch.float32
    found = text_tower.encode(quick, own, ENDS, shared)
    assert found.dtype == torch.float32
    assert torch.cosine_similarity(found, exact, dim=-1).min() > 0.999
    assert text_tower.bytes_of(quick, 10) * 2 == text_tower.bytes_of(tower, 10)
