"""Which classes of one data set are those of another, by ids, by order or by names.

Ids go first (ImageNet's wnids, as its names are not unique). Equal lists of names mean the same
classes in the same order. Else a name must be that of one class alone: as it is written, or with
case, punctuation and spaces left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from featcache.errors import EpisodeError

FEW = 5  # names that a refusal lists


@dataclass(frozen=True)
class Classes:
    """The classes of a data set in label order: its name, theirs, and ids if it has any."""

    dataset: str
    names: tuple[str, ...]
    ids: tuple[str, ...] = ()


def columns(source: Classes, target: Classes) -> tuple[int, ...]:
    """Of each class of `target`, in its order, the label that it has in `source`.

    Raises `EpisodeError` where a class of the target is none, or could be several, of the source's.
    """
    if source.ids and target.ids:
        places = {each: (i,) for i, each in enumerate(source.ids)}
        return _found(source, target, [places.get(each, ()) for each in target.ids])
    if source.names == target.names:
        return tuple(range(len(source.names)))
    exact, plain = _places(source.names), _places([_plain(name) for name in source.names])
    return _found(source, target, [exact.get(n) or plain.get(_plain(n), ()) for n in target.names])


def _found(source: Classes, target: Classes, places: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    named = [*zip(target.names, places, strict=True)]
    if lacking := [name for name, own in named if not own]:
        raise EpisodeError(
            f"{len(lacking)} of the {len(named)} classes of {target.dataset} are none of "
            f"{source.dataset} ({_few(lacking)}); score it as a target of --task cross-dataset."
        )
    chosen = [own[0] for own in places]
    twice = {label for label in chosen if chosen.count(label) > 1} if _repeats(chosen) else set()
    if unclear := [name for name, own in named if len(own) > 1 or own[0] in twice]:
        raise EpisodeError(
            f"{len(unclear)} classes of {target.dataset} could be several of {source.dataset} by "
            f"their names ({_few(unclear)}); encode both again with this version, which adds ids "
            "of classes to ImageNet and its variants and keeps their features, or mend the names."
        )
    return tuple(chosen)


def _repeats(labels: Sequence[int]) -> bool:
    return len({*labels}) < len(labels)


def _places(names: Sequence[str]) -> Mapping[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for label, name in enumerate(names):
        found[name] = (*found.get(name, ()), label)
    return found


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def _few(names: Sequence[str]) -> str:
    listed = ", ".join(names[:FEW])
    return listed + (f", … ({len(names)})" if len(names) > FEW else "")
