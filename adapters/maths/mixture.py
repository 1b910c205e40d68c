"""How far a class is its pictures and how far its text: the share of each in a prototype.

    p_c = lambda v_c + (1 - lambda) t_c,   lambda = the mean of l over (1 - l)^(1/m - 2) P(l)

v_c is the unit mean of the pictures of class c, t_c its text, P(l) the likelihood of the support at
l when each picture in turn is left out of its own class's mean; where it says nothing, the mean is
m. The mean rather than the likeliest, because some dozens of pictures hardly tell one from the
other. A mean that a picture was left out of was of k - 1 pictures and is of k: what it is off by
goes with 1 / k, so that the odds of lambda are k / (k - 1) times what was found. Ours.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.maths import kernels

SHARES = 21  # tried, from 0 to 1


def by_leaving_out(
    keys: Tensor,
    asked: Tensor,
    labels: Tensor,
    text: Tensor,
    scale: float,
    before: float,
    weights: Tensor | None,
) -> Tensor:
    """The pictures' share `[]` in prototypes; `before`, as m, where no class has two pictures.

    Unit `keys [n, d]` make the means and unit `asked [n, d]` are left out and asked about; unit
    `text [c, d]`; `scale` of cosines; `weights [n]` are what each picture counts.
    """
    others = labels.bincount(minlength=len(text))[labels] - 1  # [n]
    if not len(labels) or not others.max():
        return keys.new_tensor(before)
    sums = kernels.class_sums(keys, labels, len(text))
    seen = normalize(sums, dim=-1)
    counted = (others > 0).to(keys) * (1 if weights is None else weights)
    shares = torch.linspace(0, 1, SHARES, dtype=keys.dtype, device=keys.device)
    found = keys.new_zeros(SHARES)
    rows = max(kernels.portion(keys) // len(text), 1)
    for some in torch.arange(len(labels), device=labels.device).split(rows):  # type: ignore[no-untyped-call]
        x, y = asked[some], labels[some]
        rest = normalize(sums[y] - keys[some], dim=-1)  # what is left of its own class
        own, words = (x * rest).sum(-1), (x * text[y]).sum(-1)
        beside = (rest * text[y]).sum(-1)
        by_seen, by_text = x @ seen.T, x @ text.T
        across = (seen * text).sum(-1)
        for i, share in enumerate(shares):
            z = scale * mixed(by_seen, by_text, across, share)
            z = z.scatter(1, y[:, None], scale * mixed(own, words, beside, share)[:, None])
            likely = z.gather(1, y[:, None])[:, 0] - z.logsumexp(-1)
            found[i] += counted[some] @ likely
    before = min(max(before, 0.01), 0.99)
    prior = (1 / before - 2) * (1 - shares).clamp(min=1e-6).log()
    share = (found + prior).softmax(0) @ shares
    pictures = others[others > 0].to(share).mean()  # that each mean was left with
    return (pictures + 1) * share / (pictures + share)


def mixed(by_seen: Tensor, by_text: Tensor, across: Tensor, share: Tensor) -> Tensor:
    """Cosines to the mixture of two unit vectors, from those to each and that between both."""
    rest = 1 - share
    length = (share.square() + 2 * share * rest * across + rest.square()).sqrt()
    return (share * by_seen + rest * by_text) / length.clamp(min=1e-6)
