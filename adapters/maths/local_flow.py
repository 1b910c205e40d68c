"""The gradient-flow network of MetaNODE (arXiv 2103.14341), held to each class's neighbourhood.

    dp_c/dt = gain mu_c,   mu_c = sum_h mu_h / v_h  /  sum_h 1 / v_h
    mu_h = sum_s w_hs g_s,   v_h = sum_s w_hs |g_s - mu_h|^2 / d,   g_s = sign (a_s y_s - p_c)

The samples y_s of class c are its own pictures, its text (so that there always is one) and the
prototypes of the r classes nearest to it at the start. A token a pair (c, s), attention among the
tokens of one class, then weights w (softmax over s, one set a head) and a pull a = 2 sigmoid(.).
The cost is O(c (k + r)) where MetaNODE's is O(c^2 k). Differs from it, for that cost: w and v are
numbers, not one a dimension; weights compete within a class, not between classes; LayerNorm for
BatchNorm. The sign of foreign prototypes is learned, from -1 (away from them) on; the gain starts
at 0, so that the untrained flow stands still.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn.functional import (
    elu,
    layer_norm,
    linear,
    normalize,
    pad,
    scaled_dot_product_attention,
)

Net = Mapping[str, Tensor]
LEAST_VARIANCE = 1e-6


@dataclass(frozen=True)
class Neighbours:
    """What moves each class: `own [..., c, k, d]` samples and the numbers `rivals [..., c, r]`.

    Of its own samples only those `there [..., c, k]` count.
    """

    own: Tensor
    there: Tensor
    rivals: Tensor


def new(d: int, width: int, heads: int, generator: Generator) -> dict[str, Tensor]:
    """Parameters of `velocity` on `[..., c, d]`; untrained, it is 0."""

    def matrix(rows: int, columns: int) -> Tensor:
        empty = torch.empty(rows, columns, device=generator.device)
        return torch.nn.init.xavier_uniform_(empty, generator=generator)

    return {
        "local.prototype": matrix(width, d),
        "local.sample": matrix(width, d),
        "local.time": matrix(width, 2),
        "local.rival": matrix(1, width).squeeze(0),
        "local.attention.in": matrix(3 * width, width),
        "local.attention.out": matrix(width, width),
        "local.weight": matrix(heads, width),
        "local.pull": matrix(1, width),
        "local.sign": torch.tensor(-1.0, device=generator.device),
        "local.gain": torch.zeros(d, device=generator.device),
    }


def neighbours(own: Tensor, there: Tensor, text: Tensor, p: Tensor, rivals: int) -> Neighbours:
    """The neighbours of prototypes `p [..., c, d]`: the pictures that `of_classes` gives, text."""
    own = torch.cat([text[:, None].expand(*own.shape[:-2], 1, -1), own], dim=-2)
    return Neighbours(own, pad(there, (1, 0), value=True), nearest(p, rivals))


def alone(text: Tensor, rivals: int) -> Neighbours:
    """The neighbours of classes that have a text `[c, d]` and no pictures."""
    there = torch.ones(len(text), 1, dtype=torch.bool, device=text.device)
    return Neighbours(text[:, None], there, nearest(text, rivals))


def nearest(p: Tensor, count: int) -> Tensor:
    """The numbers `[..., c, r]` of the other prototypes most like each of `p [..., c, d]`."""
    unit = normalize(p.detach(), dim=-1)
    alike = unit @ unit.mT - 3 * torch.eye(p.shape[-2], device=p.device)  # never itself
    return alike.topk(min(count, p.shape[-2] - 1), dim=-1).indices


def of_classes(f: Tensor, slots: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Pictures `f [..., n, d]` by class `[..., c, k, d]`, and which are `seen` `[..., c, k]`."""
    rows = slots.clamp(min=0)
    return f[..., rows, :], seen[..., rows] & (slots >= 0)


def slots(labels: Tensor, classes: int) -> Tensor:
    """The rows of each class `[c, k]`, filled up with -1."""
    counts = torch.bincount(labels, minlength=classes)
    order = labels.argsort(stable=True)
    first = counts.cumsum(0) - counts
    place = torch.arange(len(labels), device=labels.device) - first[labels[order]]
    rows = labels.new_full((classes, int(counts.max())), -1)
    rows[labels[order], place] = order
    return rows


def velocity(
    net: Net, p: Tensor, near: Neighbours, t: Tensor, attention: int, by_variance: bool, pull: bool
) -> Tensor:
    """dp/dt `[..., c, d]`. Ablations: 0 heads of attention, mean over heads, a fixed at 1."""
    y = torch.cat([near.own, _rows(p, near.rivals)], dim=-2)  # [..., c, s, d]
    there = pad(near.there, (0, near.rivals.shape[-1]), value=True)  # [..., c, s]
    rival = torch.arange(y.shape[-2], device=y.device) >= near.own.shape[-2]  # [s]
    h = _tokens(net, p, y, there, rival, t, attention)  # [..., c, s, w]
    w = linear(h, net["local.weight"]).masked_fill(~there[..., None], -math.inf).softmax(-2)
    a = 2 * linear(h, net["local.pull"]).sigmoid() if pull else 1.0
    sign = torch.where(rival, net["local.sign"], 1.0)[:, None]
    g = sign * (a * y - p[..., None, :])  # [..., c, s, d]
    return net["local.gain"] * _fused(w.mT, g, by_variance)


def _tokens(
    net: Net, p: Tensor, y: Tensor, there: Tensor, rival: Tensor, t: Tensor, heads: int
) -> Tensor:
    """What the network knows of each pair of a class and a sample, `[..., c, s, w]`."""
    u, v = linear(p, net["local.prototype"])[..., None, :], linear(y, net["local.sample"])
    time = linear(torch.stack([t, t.square()]), net["local.time"])
    h = elu(u + v + u * v + time + rival[:, None] * net["local.rival"])
    h = layer_norm(h, h.shape[-1:])
    if not heads:
        return h
    qkv = linear(h, net["local.attention.in"]).reshape(*h.shape[:-1], 3, heads, -1)
    q, k, v = qkv.movedim(-3, 0).transpose(-2, -3)  # [..., c, heads, s, w / heads] each
    mask = there[..., None, None, :]
    mixed = scaled_dot_product_attention(q, k, v, mask).transpose(-2, -3).flatten(-2)
    return layer_norm(h + linear(mixed, net["local.attention.out"]), h.shape[-1:])


def _fused(w: Tensor, g: Tensor, by_variance: bool) -> Tensor:
    """One gradient `[..., c, d]` of weights `w [..., c, heads, s]` on `g [..., c, s, d]`."""
    mu = w @ g  # [..., c, heads, d]
    if not by_variance:
        return mu.mean(-2)
    # sum w |g - mu|^2 = sum w |g|^2 - |mu|^2, as the weights sum to 1.
    spread = w @ g.square().mean(-1, keepdim=True) - mu.square().mean(-1, keepdim=True)
    trust = 1 / spread.clamp(min=LEAST_VARIANCE)
    return (trust * mu).sum(-2) / trust.sum(-2)


def _rows(p: Tensor, numbers: Tensor) -> Tensor:
    """The rows `[..., c, r, d]` of `p [..., c, d]` with these numbers `[..., c, r]`."""
    flat = numbers.flatten(-2)[..., None]  # [..., c r, 1]
    rows = p.gather(-2, flat.expand(*flat.shape[:-1], p.shape[-1]))
    return rows.reshape(*numbers.shape, p.shape[-1])
