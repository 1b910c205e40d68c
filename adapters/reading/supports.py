"""Support sets that somebody else drew: taken as they are, for no other can be drawn of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from adapters.episode import Labelled, Support
from featcache.draws import ALL, BALANCED
from featcache.errors import EpisodeError
from featcache.store.entry import POOL, PRE_PROJECTION

if TYPE_CHECKING:
    from featcache.store.entry import Entry
    from featcache.store.support import SupportFeatures


def alone(entry: Entry) -> bool:
    """Whether support sets are all that there is to train on."""
    return bool(entry.supports) and not {"train", POOL} & entry.splits.keys()


def check(entry: Entry, shots: int | str, kind: str) -> None:
    """Raise `EpisodeError` for a draw of another kind than they are: so many a class, by a seed."""
    if shots == ALL or kind != BALANCED:
        listed = ", ".join(f"--shots {k} --seed {s}" for k, s in entry.supports)
        raise EpisodeError(
            f"{entry.dataset} holds support sets as somebody drew them and no other training "
            f"pictures to draw from; take {listed}, without --draw."
        )


def train(
    entry: Entry, shots: int, seed: int, views: int | None, extras: frozenset[str]
) -> Support:
    """The set of that draw; view 0 is its first, and `views` limits how many come after it.

    Raises `CacheError` where there is no such set.
    """
    held = entry.support(shots, seed)
    assert held is not None
    some = slice(None if views is None else 1 + views)
    pre = held.pre if PRE_PROJECTION in extras else None
    return Support(
        torch.from_numpy(held.embedding[some]),
        torch.from_numpy(held.label),
        held.id,
        None if pre is None else torch.from_numpy(pre[some]),
    )


def val(entry: Entry, shots: int, seed: int, extras: frozenset[str]) -> Labelled | None:
    """What was drawn to validate with that set, by its first view; None where nothing was."""
    held = entry.support(shots, seed, "val")
    return None if held is None else _first(held, PRE_PROJECTION in extras)


def _first(held: SupportFeatures, with_pre: bool) -> Labelled:
    pre = torch.from_numpy(held.pre[0]) if with_pre and held.pre is not None else None
    return Labelled(torch.from_numpy(held.embedding[0]), torch.from_numpy(held.label), held.id, pre)
