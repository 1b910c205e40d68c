"""Stand-ins: a class without a picture stands by its text, as one picture made of it.

    x_c = unit(m + t_c - m_t)

m is the mean of the class means of the unit support pictures, m_t that of the same classes' unit
texts: the texts lie apart from the pictures (Liang et al. 2022, "Mind the gap"), and are moved over
as they are. Ours. Without it a class that a draw has no picture of is what each method makes of
nothing: a rival that is only ever wrong, a score of 0 beside large ones, or no number at all.

Where the data has no text, a method has what its `without_text` says: zeros, or the mean of each
class's unit pictures.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.episode import Episode, Text
from adapters.maths import kernels
from featcache.errors import EpisodeError

MEANS = "means"  # what stands where texts would
RIDGE = 0.01  # of the mixture, by the mean square of the pictures' distance to their centre


def whole(episode: Episode, without_text: str = "") -> Episode:
    """The episode with a stand-in for every class that has no picture; itself where none lacks.

    A stand-in is the same in every view, has the mean norm of the pictures, and is each of its own
    patches. Where nothing was drawn of any class, there is nothing to move the texts by, and the
    episode stays as it is. Raises `EpisodeError` where a class has neither picture nor text.
    """
    if episode.text.absent:
        return _textless(episode, without_text)
    support, text = episode.support, episode.text.unit()  # [c, d]
    counts = support.labels.bincount(minlength=episode.classes)
    absent = (counts == 0).nonzero().squeeze(1)  # [a]
    if not len(absent) or not len(support.labels):
        return episode
    there = counts > 0
    sums = kernels.class_sums(support.keys(), support.labels, episode.classes)
    middle = (sums[there] / counts[there, None]).mean(0)  # [d]
    moved = normalize(middle + text[absent] - text[there].mean(0), dim=-1)
    x = support.views.norm(dim=-1).mean() * moved  # [a, d]
    patches = support.patches
    if patches is not None:
        own = x[:, None].expand(-1, patches.shape[1], -1).to(patches.dtype)
        patches = torch.cat([patches, own])
    pre = support.pre
    if pre is not None:
        pre = _beside(pre, _before(episode, pre, x))
    names = tuple(f"text of {episode.text.classnames[c]}" for c in absent.tolist())
    found = replace(
        support,
        views=_beside(support.views, x),
        labels=torch.cat([support.labels, absent]),
        ids=support.ids + names,
        pre=pre,
        patches=patches,
    )
    return replace(episode, support=found)


def _textless(episode: Episode, without: str) -> Episode:
    support, names = episode.support, episode.text.classnames
    counts = support.labels.bincount(minlength=episode.classes)
    if unknown := [names[c] for c in (counts == 0).nonzero().flatten().tolist()]:
        raise EpisodeError(
            f"{episode.dataset} has no text and this draw no picture of {len(unknown)} of its "
            f"{len(names)} classes ({unknown[0]} first), so nothing is known of them; import it "
            "with --text FILE, or take a draw that has all classes."
        )
    if without != MEANS:
        return episode
    means = kernels.class_sums(support.keys(), support.labels, episode.classes) / counts[:, None]
    mask = torch.ones_like(means[:, :1], dtype=torch.bool)
    return replace(episode, text=Text(means[:, None], mask, names))


def _before(episode: Episode, pre: Tensor, x: Tensor) -> Tensor:
    """Features `[a, p]` that the projection maps near `x [a, d]`: mixtures of the pictures' own.

    The least of the maps' inverses would do too, but its features are unlike any tower's.
    """
    seen = pre.mean(0)  # [n, p]
    middle = seen.mean(0)
    if episode.projection is None:
        return middle.expand(len(x), -1)
    embedded, centre = episode.projection(seen), episode.projection(middle)
    away = embedded - centre  # [n, d]
    gram = away @ away.T
    ridge = (RIDGE * gram.diagonal().mean()).clamp(min=1e-6) * torch.eye(len(gram)).to(gram)
    mixture: Tensor = torch.linalg.solve(gram + ridge, away @ (x - centre).T).T  # [a, n]
    return middle + mixture @ (seen - middle)


def _beside(views: Tensor, x: Tensor) -> Tensor:
    """Views `[v, n, d]` with the same `x [a, d]` in each of them."""
    return torch.cat([views, x.expand(len(views), -1, -1)], dim=1)
