"""Problems: many small tasks of two classes each, with a support and two queries of their own.

A problem is seven pictures that share a concept, class 0, and seven that do not, class 1; the last
of each seven is the query (Jiang et al. 2022, Bongard-HOI). The name of the concept is the answer,
so that methods get no text unless it is asked for: then class 0 has the prompts of the concept, and
class 1 those that say it is not there. Without it a method has what its `without_text` says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize, pad

from adapters.episode import Episode, Support, Text
from featcache.errors import EpisodeError

if TYPE_CHECKING:
    from featcache.store.entry import Entry

SIDES = ("concept", "others")
CONCEPT = "concept"  # as `text`: the prompts of the concept are shown
MEANS, ABSENT = "means", "absent"  # what a method has in place of text


@dataclass(frozen=True)
class Concepts:
    """Raw prompts of each concept and that it is not there: `prompts [c, 2, m, d]`, `mask`."""

    prompts: Tensor
    mask: Tensor


@dataclass(frozen=True)
class Problems:
    """Problems without labels: `support [p, 2, k, d]` and `query [p, 2, d]`, raw embeddings.

    `concept [p]` are numbers of concepts.
    """

    support: Tensor
    query: Tensor
    concept: Tensor

    def __len__(self) -> int:
        return len(self.support)

    def to(self, device: str) -> Problems:
        """The same on a device."""
        return Problems(*(each.to(device) for each in (self.support, self.query, self.concept)))

    def portions(self, most: int) -> Iterator[Problems]:
        """The same problems, so many at a time."""
        for first in range(0, len(self), most):
            some = slice(first, first + most)
            yield Problems(self.support[some], self.query[some], self.concept[some])

    def texts(self, concepts: Concepts | None, without: str) -> tuple[Tensor, Tensor]:
        """Prompts `[p, 2, m, d]` with their mask, or what stands there without text.

        That is the mean of each class's unit pictures, or zeros, which add nothing to a score.
        """
        if concepts is not None:
            rows = self.concept.cpu()
            there = self.support.device
            return concepts.prompts[rows].to(there), concepts.mask[rows].to(there)
        means = normalize(self.support, dim=-1).mean(2, keepdim=True)
        prompts = means if without == MEANS else torch.zeros_like(means)
        return prompts, torch.ones_like(prompts[..., 0], dtype=torch.bool)


@dataclass(frozen=True)
class Listed:
    """The problems of a split with the classes of their queries, `labels [p, 2]`.

    `left_out` problems are not among them, as one of their pictures could not be read.
    """

    name: str
    problems: Problems
    labels: Tensor
    left_out: int = 0


def read(entry: Entry, split: str) -> Listed:
    """The problems of a split of which every picture could be read.

    Raises `EpisodeError` where there are none, `CacheError` for a split that is not encoded.
    """
    side = entry.side
    if not side:
        raise EpisodeError(
            f"{entry.dataset} is no set of problems; encode one, such as relations or bongard-hoi."
        )
    images = entry.images(split)
    x = torch.from_numpy(images.embedding.reshape(-1, 2, side, images.embedding.shape[-1]))
    whole = torch.from_numpy(images.valid.reshape(-1, 2 * side).all(1))
    if not whole.any():
        raise EpisodeError(
            f"no problem of {split} of {entry.dataset} has all its pictures; `featcache encode "
            "--retry-bad` tries again those that could not be read."
        )
    concept = torch.from_numpy(images.label.reshape(-1, 2 * side)[:, 0].astype(np.int64))
    x = x[whole]
    labels = torch.arange(2).expand(len(x), 2).clone()
    found = Problems(x[:, :, :-1], x[:, :, -1], concept[whole])
    return Listed(split, found, labels, int((~whole).sum()))


def concepts(entry: Entry, bank: str | None = None) -> Concepts:
    """What the prompts of a bank (the newest) and of the newest negative one say of each concept.

    Raises `EpisodeError` where there is no negative bank, and what `Entry.text` raises.
    """
    if not entry.negative_banks:
        raise EpisodeError(
            f"text={CONCEPT} sets the prompts of a concept against prompts that it is not there, "
            f"which {entry.dataset} has not cached; add them with `featcache encode --dataset "
            f"{entry.dataset} --backbone {entry.backbone} --prompts negative`."
        )
    sides = [entry.text(bank), entry.text(entry.negative_banks[-1])]
    most = max(side.mask.shape[1] for side in sides)
    more = [most - side.mask.shape[1] for side in sides]
    prompts = [
        pad(torch.from_numpy(side.embedding), (0, 0, 0, n))
        for side, n in zip(sides, more, strict=True)
    ]
    masks = [pad(torch.from_numpy(side.mask), (0, n)) for side, n in zip(sides, more, strict=True)]
    return Concepts(torch.stack(prompts, 1), torch.stack(masks, 1))


def episode(
    support: Tensor, prompts: Tensor, mask: Tensor, scale: float, seed: int, source: str = ""
) -> Episode:
    """What a fit on one problem sees: `support [2, k, d]` and its texts `[2, m, d]`."""
    shots = support.shape[1]
    labels = torch.arange(2, device=support.device).repeat_interleave(shots)
    names = tuple(f"{side} {i}" for side in SIDES for i in range(shots))
    seen = Support(support.flatten(0, 1)[None], labels, names)
    return Episode(seen, Text(prompts, mask, SIDES), scale, shots, seed, source)
