"""Few-shot draws: how a cache entry becomes an episode with validation and test beside it.

Two rules of drawing. Data sets with splits are drawn as CoOp draws them (Zhou et al. 2022,
Dassl's `generate_fewshot_dataset`): one `random.Random(seed)`, train before val, classes in
order of first appearance; a class with fewer than K gives all it has. Features without splits are
one pool: for each class in label order `numpy.random.default_rng(seed)` permutes its rows; the
first 16 are the training pool (K shots are its first K), the next 4 validation, the rest test.

A draw of kind `natural` takes K x C of the training list whatever their class, then min(K, 4) x C
of the validation list by the same generator; shots `all` are the whole training list, with 4 a
class to validate. The training list of a pool are its 16 a class.

Support sets that were imported as somebody drew them are taken by their shots and seed.

Which of it a task shows a fit, and what it scores beside, is for `adapters.tasks` to say.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from adapters.episode import Draw, Episode, Labelled, Projection, Support, Target, Text
from adapters.matching import Classes
from adapters.reading import kept_tower, pictures, supports
from featcache import drawn, draws
from featcache.drawn import Drawn
from featcache.draws import (
    ALL,
    BALANCED,
    NATURAL,
    POOL_TRAIN,
    VAL_SHOTS,
    Groups,
    Shots,
    pool_indices,
)
from featcache.errors import CacheError, EpisodeError
from featcache.store.entry import EXTRAS, POOL, PRE_PROJECTION

if TYPE_CHECKING:
    from featcache.store.entry import Entry
    from featcache.store.features import TextFeatures

Rows = NDArray[np.int64]
# The support, few and all pictures to validate, those to test.
Parts = tuple[Support, Labelled | None, Labelled | None, Labelled | None]


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
    if kind not in draws.KINDS:
        listed = kind if isinstance(kind, Drawn) else drawn.read(Path(drawn.way(kind)))
        shots, how = ALL, _How(ALL, seed, "", views, len(entry.classnames), listed)
    else:
        how = _How(shots, seed, str(kind), views, len(entry.classnames))
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
    support, few, full, test = _drawn(entry, how, whole)
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


@dataclass(frozen=True)
class _How:
    """What is drawn: so many shots with that seed, in which way, with how many views at most."""

    shots: Shots
    seed: int
    kind: str
    views: int | None
    classes: int
    listed: Drawn | None = None  # what a file lists

    @property
    def held(self) -> int:
        """Validation pictures a class."""
        return VAL_SHOTS if isinstance(self.shots, str) else min(self.shots, VAL_SHOTS)

    @property
    def like_coop(self) -> bool:
        """Whether it is a draw that `encode --views-for few-shot` knows of."""
        return self.shots != ALL and self.kind == BALANCED

    def of(self, labels: Rows, shots: Shots, rng: random.Random) -> Rows:
        """Some of the rows with these labels `[n]`, so many a class or on average."""
        if isinstance(shots, str):
            return np.arange(len(labels))
        if self.kind == NATURAL:
            found = draws.natural_rows(len(labels), shots * self.classes, rng)
        else:
            found = draws.draw_rows(labels, shots, rng)
        return np.array(found, np.int64)

    def check(self, dataset: str, counts: Rows) -> None:
        """Raise `EpisodeError` where no class has K pictures, or all not K x C together."""
        if isinstance(self.shots, str):
            return
        there, largest = int(counts.sum()), int(counts.max(initial=0))
        if self.kind == BALANCED and self.shots > largest:
            raise EpisodeError(
                f"the largest class of {dataset} has {largest} training pictures, fewer than the "
                f"{self.shots} shots asked for; take fewer, or --shots {ALL} for all there are."
            )
        if self.kind == NATURAL and self.shots * self.classes > there:
            raise EpisodeError(
                f"{dataset} has {there} training pictures, fewer than {self.shots} shots x "
                f"{self.classes} classes; take fewer shots, or --shots {ALL} for all there are."
            )


def _drawn(entry: Entry, how: _How, extras: frozenset[str]) -> Parts:
    if POOL in entry.splits:
        return _draw_pool(entry, how, extras)
    if supports.alone(entry):
        return _draw_supports(entry, how, extras)
    return _draw_splits(entry, how, extras)


def _draw_pool(entry: Entry, how: _How, extras: frozenset[str]) -> Parts:
    if how.listed is not None:
        raise EpisodeError(
            f"{entry.dataset} has no splits, so {how.listed.name} does not say what is left to "
            "test; import its features with train and test apart."
        )
    if not isinstance(how.shots, str) and how.shots > POOL_TRAIN:
        raise EpisodeError(
            f"{entry.dataset} has no splits, so at most {POOL_TRAIN} shots can be drawn from its "
            f"pool; {how.shots} were asked for."
        )
    images = pictures.valid(entry, POOL, extras)
    train, val, test = pool_indices(images.label, how.seed)
    if how.kind == NATURAL:
        rng = random.Random(how.seed)
        rows, few = (
            part.ravel()[how.of(images.label[part.ravel()], shots, rng)]
            for part, shots in ((train, how.shots), (val, how.held))
        )
    else:
        most = POOL_TRAIN if isinstance(how.shots, str) else how.shots
        rows, few = train[:, :most].ravel(), val[:, : how.held].ravel()
    full = pictures.labelled(images, val.ravel())
    return (
        pictures.support(images, rows),
        pictures.labelled(images, few),
        full,
        pictures.labelled(images, test),
    )


def _draw_splits(entry: Entry, how: _How, extras: frozenset[str]) -> Parts:
    if "train" not in entry.splits:
        images = pictures.valid(entry, "test", frozenset())
        return pictures.support(images, np.zeros(0, np.int64)), None, None, pictures.whole(images)
    images = pictures.drawable(entry, "train", extras)
    val = pictures.valid(entry, "val", extras) if "val" in entry.splits else None
    rows, few = _rows(how, images, val)
    support = pictures.support(images, rows, _views(images, rows, how))
    if support.pre is None:  # then nobody else's is of use
        extras -= {PRE_PROJECTION}
        images, val = replace(images, extras=extras), val and replace(val, extras=extras)
    test = pictures.whole(pictures.valid(entry, "test", extras)) if "test" in entry.splits else None
    # Without a val list (ImageNet), validation is held out from the training pictures not drawn.
    held = None if few is None else pictures.labelled(images if val is None else val, few)
    return support, held, None if val is None else pictures.whole(val), test


def _draw_supports(entry: Entry, how: _How, extras: frozenset[str]) -> Parts:
    supports.check(entry, how.shots, how.kind)
    assert not isinstance(how.shots, str)
    support = supports.train(entry, how.shots, how.seed, how.views, extras)
    if support.pre is None:
        extras -= {PRE_PROJECTION}
    few = supports.val(entry, how.shots, how.seed, extras)
    full = test = None
    if "val" in entry.splits:
        val = pictures.valid(entry, "val", extras)
        full = pictures.whole(val)
        if few is None:
            rows = how.of(val.label, how.held, random.Random(how.seed))
            few = pictures.labelled(val, rows)
    if "test" in entry.splits:
        test = pictures.whole(pictures.valid(entry, "test", extras))
    return support, few, full, test


def _rows(
    how: _How, images: pictures.Images, val: pictures.Images | None
) -> tuple[Rows, Rows | None]:
    """Which rows train, and which validate: of the val list, or where there is none of the rest.

    None where the rest lacks a class.
    """
    rng, entry = random.Random(how.seed), images.entry
    if how.listed is not None:
        val_ids = None if val is None else val.ids
        train, held = drawn.rows_listed(how.listed, images.ids, val_ids, entry.key)
        rows = np.array(train, np.int64)
        if held is not None:
            return rows, np.array(held, np.int64)
        how = replace(how, shots=int(np.bincount(images.label[rows]).max()), kind=BALANCED)
    elif entry.draws is not None:
        asked = f"{how.shots}-{how.seed}" if how.kind == BALANCED else how.kind
        train_rows, val_rows = drawn.kept(entry.draws, asked, entry.key)
        rows, few = images.where(train_rows), (val or images).where(val_rows)
        whole = val is not None or len(np.unique(images.label[few])) == how.classes
        return rows, few if whole else None
    else:
        how.check(entry.dataset, images.groups.counts)
        if not isinstance(how.shots, str) and how.kind == BALANCED:
            return _balanced(how, how.shots, images.groups, val, rng)
        rows = how.of(images.label, how.shots, rng)
    if val is not None:
        return rows, how.of(val.label, how.held, rng)
    left = np.setdiff1d(np.arange(len(images.label)), rows)
    few = left[how.of(images.label[left], how.held, rng)]
    enough = (how.kind == NATURAL and len(few)) or len(np.unique(images.label[left])) == how.classes
    return rows, few if enough else None


def _balanced(
    how: _How, shots: int, groups: Groups, val: pictures.Images | None, rng: random.Random
) -> tuple[Rows, Rows | None]:
    """CoOp's draw, for which no list of all labels is made."""
    places = draws.draw_places(groups, shots, rng)
    rows = groups.rows[places].astype(np.int64)
    if val is not None:
        return rows, how.of(val.label, how.held, rng)
    few = groups.rows[draws.draw_places(groups, how.held, rng, places)].astype(np.int64)
    more = int((groups.counts > shots).sum())  # classes of which something is left
    return rows, few if more == how.classes else None


def _views(images: pictures.Images, rows: Rows, how: _How) -> int | None:
    """How many views are to be read: none by default where drawn pictures have none cached."""
    if how.views is not None or how.like_coop:
        return how.views
    try:
        images.entry.views(images.split, images.at(rows))
    except CacheError:
        return 0
    return None


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
