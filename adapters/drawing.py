"""Few-shot draws: how a cache entry becomes an episode with validation and test beside it.

Which rows are drawn is for `adapters.reading.parts` to say, and which of it a task shows a fit, and
what it scores beside, for `adapters.tasks`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from adapters.episode import Draw, Episode, Labelled, Projection, Target, Text
from adapters.matching import Classes
from adapters.reading import kept_tower, parts, pictures
from featcache import drawn, draws
from featcache.drawn import Drawn
from featcache.draws import ALL, BALANCED, NATURAL, Shots, pool_indices
from featcache.errors import EpisodeError
from featcache.store.entry import EXTRAS, POOL

if TYPE_CHECKING:
    from featcache.store.entry import Entry
    from featcache.store.features import TextFeatures


def draw(
    entry: Entry,
    shots: Shots,
    seed: int,
    *,
    bank: str | None = None,
    views: int | None = None,
    extras: Collection[str] = (),
    kind: str | Drawn = BALANCED,
) -> Draw:
    """Draw an episode from a cache entry, with validation and test beside it.

    `views` limits how many augmented views come along (None: all that are cached, or none where a
    draw that is not CoOp's has pictures without). `extras` names what shall come with the
    embeddings where all splits have it: `pre-projection`, `patches`. Pictures that could not be
    read are never drawn. Without a test split there is no target; without a train split the support
    is empty, which is enough for scores by text alone. Without text the prompts are zeros. The
    episode's shots are those asked for; of `all`, the pictures of the largest class. `kind` may be
    a file that lists pictures, or what it lists, all of which are drawn. Raises `EpisodeError`
    where there are too few pictures, or not those listed, `CacheError` where support sets that were
    imported have no such draw, `UnknownNameError` for a kind of draw that is none, `ConfigError`
    for shots or a seed that are no such numbers.
    """
    shots, seed = draws.some(shots), draws.whole("seed", seed)
    views = None if views is None else draws.whole("views", views)
    if kind not in draws.KINDS:
        listed = kind if isinstance(kind, Drawn) else drawn.read(Path(drawn.way(kind)))
        shots, how = ALL, parts.How(ALL, seed, "", views, len(entry.classnames), listed)
    else:
        how = parts.How(shots, seed, str(kind), views, len(entry.classnames))
    if entry.side:
        raise EpisodeError(
            f"{entry.dataset} is a set of problems, each with a support of its own; take --task "
            "bongard-hoi."
        )
    text = _shown(entry, bank)
    negative = _text(entry.text(entry.negative_banks[-1])) if entry.negative_banks else None
    whole = frozenset(
        name
        for name in EXTRAS
        if name in extras
        and all(entry.encoded(split, name) == rows for split, rows in entry.splits.items())
    )
    support, few, full, test = parts.take(entry, how, whole)
    counts = support.labels.bincount(minlength=how.classes)
    episode = Episode(
        support,
        text,
        entry.logit_scale,
        int(counts.max()) if isinstance(shots, str) else shots,
        seed,
        entry.dataset,
        entry.backbone,
        projection=_projection(entry) if support.pre is not None else None,
        negative=negative,
    )
    targets = () if test is None else (Target(entry.dataset, test),)
    return Draw(episode, few, full, targets)


def of_task(name: str) -> Callable[..., Draw]:
    """`draw`, for a task of that name."""

    def drawn(entry: Entry, shots: int, seed: int, **how: Any) -> Draw:
        found = draw(entry, shots, seed, **how)
        return replace(found, episode=replace(found.episode, task=name))

    return drawn


def pictures_of(
    entry: Entry, seed: int, extras: Collection[str] = (), split: str = "test"
) -> Labelled:
    """The readable pictures of a split; of a pool, those that `draw` with that seed leaves to test.

    Raises `EpisodeError` where there is no such split, or none of its pictures could be read.
    """
    if POOL in entry.splits and split == "test":
        images = pictures.valid(entry, POOL, frozenset(extras))
        found = pictures.labelled(images, pool_indices(images.label, seed)[2])
    elif split in entry.splits:
        found = pictures.whole(pictures.valid(entry, split, frozenset(extras)))
    else:
        raise EpisodeError(
            f"{entry.dataset} has no {split} split to be scored on, it has "
            f"{', '.join(entry.splits)}; take another set or another --split."
        )
    if not len(found.labels):
        raise EpisodeError(f"no picture of the {split} split of {entry.dataset} could be read.")
    return found


def text_of(entry: Entry, bank: str | None = None) -> Text:
    """A prompt bank of the entry, by default the newest. Raises what `Entry.text` raises."""
    return replace(_text(entry.text(bank)), tower=kept_tower.kept(entry))


def classes_of(entry: Entry) -> Classes:
    """The entry's classes, to be matched with another's."""
    return Classes(entry.dataset, entry.classnames, entry.class_ids)


def short_classes(episode: Episode, shots: Shots, kind: str = BALANCED) -> int:
    """How many classes have fewer pictures than were asked for: than K, or than one.

    The latter where classes come as they occur: in natural draws, and where all pictures are drawn.
    """
    wanted = 1 if isinstance(shots, str) or kind == NATURAL else shots
    counts = episode.support.labels.bincount(minlength=episode.classes)
    return int((counts < wanted).sum())


def _projection(entry: Entry) -> Projection | None:
    held = entry.projection()
    if held is None:
        return None
    return Projection(torch.from_numpy(held.weight), torch.from_numpy(held.bias))


def _shown(entry: Entry, bank: str | None) -> Text:
    """What a fit sees of text: of an entry that has none zeros, which say that they are."""
    if not entry.textless or bank is not None:
        return text_of(entry, bank)
    classes = len(entry.classnames)
    prompts = torch.zeros(classes, 1, entry.manifest["backbone"]["width"])
    return Text(prompts, torch.ones(classes, 1, dtype=torch.bool), entry.classnames, absent=True)


def _text(text: TextFeatures) -> Text:
    return Text(torch.from_numpy(text.embedding), torch.from_numpy(text.mask), text.classnames)
