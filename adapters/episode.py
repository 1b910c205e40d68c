"""Few-shot draws: what a fit may see, and the test split that lies beside it.

Two rules of drawing. Data sets with splits are drawn as CoOp draws them (Zhou et al. 2022,
Dassl's `generate_fewshot_dataset`): one `random.Random(seed)`, train before val, classes in
order of first appearance. Features without splits are one pool: for each class in label order
`numpy.random.default_rng(seed)` permutes its rows; the first 16 are the training pool (K shots
are its first K), the next 4 validation, the rest test.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from featcache import draws
from featcache.cache import EXTRAS, PATCHES, PRE_PROJECTION
from featcache.draws import VAL_SHOTS
from featcache.errors import EpisodeError

if TYPE_CHECKING:
    from featcache.cache import Entry, TextFeatures

POOL = "pool"
VIEWS, NEGATIVE_PROMPTS = "views", "negative prompts"
POOL_TRAIN, POOL_VAL = 16, 4


@dataclass(frozen=True)
class Text:
    """Raw prompt embeddings of each class, every prompt apart.

    `prompts [c, p, d]`, `mask [c, p]` (false where a class has fewer prompts than p).
    """

    prompts: Tensor
    mask: Tensor
    classnames: tuple[str, ...]

    def unit(self) -> Tensor:
        """Class vectors `[c, d]`: each prompt normalised, their mean, normalised again."""
        return normalize(self._mean(normalize(self.prompts, dim=-1)), dim=-1)

    def raw(self) -> Tensor:
        """Class vectors `[c, d]`: the mean of the raw prompt embeddings, norms kept."""
        return self._mean(self.prompts)

    def _mean(self, prompts: Tensor) -> Tensor:
        mask = self.mask.unsqueeze(-1).to(prompts.dtype)
        return (prompts * mask).sum(1) / mask.sum(1)


@dataclass(frozen=True)
class Query:
    """All that is known of pictures without labels.

    `x [q, d]` are raw embeddings; `pre [q, p]` what the visual projection takes and `patches
    [q, t, d]` projected patch tokens (float16) are None where they are not cached or not asked for.
    """

    x: Tensor
    pre: Tensor | None = None
    patches: Tensor | None = None

    def __getitem__(self, rows: slice) -> Query:
        """Some of the pictures."""
        pre = None if self.pre is None else self.pre[rows]
        return Query(self.x[rows], pre, None if self.patches is None else self.patches[rows])


@dataclass(frozen=True)
class Labelled:
    """Pictures with labels: `x [n, d]` raw, `labels [n]`, ids; the rest as in `Query`."""

    x: Tensor
    labels: Tensor
    ids: tuple[str, ...]
    pre: Tensor | None = None
    patches: Tensor | None = None

    @property
    def query(self) -> Query:
        """The same pictures without their labels."""
        return Query(self.x, self.pre, self.patches)


@dataclass(frozen=True)
class Projection:
    """The last map of the image tower: `weight [p, d]`, `bias [d]`."""

    weight: Tensor
    bias: Tensor

    def __call__(self, pre: Tensor) -> Tensor:
        """Raw embeddings `[..., d]` of pre-projection features `[..., p]`."""
        return pre @ self.weight + self.bias


@dataclass(frozen=True)
class Support:
    """The drawn training pictures: `views [v, n, d]` raw, view 0 the centre crop.

    `pre [v, n, p]` belongs to the views, `patches [n, t, d]` to the centre crops; both are None
    where they are not cached or not asked for.
    """

    views: Tensor
    labels: Tensor
    ids: tuple[str, ...]
    pre: Tensor | None = None
    patches: Tensor | None = None

    @property
    def x(self) -> Tensor:
        """The centre crops `[n, d]`, raw."""
        return self.views[0]

    @cached_property
    def unit_views(self) -> Tensor:
        """The views `[v, n, d]`, normalised; kept, for the fits on one draw share them."""
        return normalize(self.views, dim=-1)

    def keys(self) -> Tensor:
        """One unit vector a picture `[n, d]`: the mean of its raw views, normalised."""
        return normalize(self.views.mean(0), dim=-1)

    def one_hot(self, classes: int) -> Tensor:
        """The labels as `[n, c]`, float."""
        return torch.nn.functional.one_hot(self.labels, classes).to(self.views.dtype)


@dataclass(frozen=True)
class Episode:
    """All that a fit may see. There is no test split in it.

    `projection` stands where the support has `pre`; `negative` holds prompts that say of each class
    that it is not there, where such a bank is cached.
    """

    support: Support
    text: Text
    logit_scale: float
    shots: int
    seed: int
    dataset: str = ""
    backbone: str = ""
    task: str = "few-shot"
    projection: Projection | None = None
    negative: Text | None = None

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.text.classnames)

    @property
    def holds(self) -> frozenset[str]:
        """What there is beside embeddings and text, in the words of a method's `needs`."""
        found = {
            VIEWS: len(self.support.views) > 1,
            PRE_PROJECTION: self.support.pre is not None,
            PATCHES: self.support.patches is not None,
            NEGATIVE_PROMPTS: self.negative is not None,
        }
        return frozenset(name for name, there in found.items() if there)


@dataclass(frozen=True)
class Draw:
    """An episode with what stands beside it, for selection and for the final score.

    `few_shot_val` holds min(K, 4) pictures a class, `full_val` the whole validation list;
    either is None where the data has none.
    """

    episode: Episode
    few_shot_val: Labelled | None
    full_val: Labelled | None
    test: Labelled


@dataclass(frozen=True)
class BaseToNew:
    """A draw of the base classes, with the new classes that no fit sees: names and test pictures.

    Labels count from 0 in each half.
    """

    base: Draw
    text: Text
    test: Labelled


def pool_indices(
    labels: NDArray[np.int64], seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Training pool `[c, 16]`, validation `[c, 4]` and test `[m]` rows of a pool without splits.

    Raises `EpisodeError` where a class has fewer than 21 rows.
    """
    rng = np.random.default_rng(seed)
    train, val, test = [], [], []
    for label in range(int(labels.max()) + 1):
        rows = rng.permutation(np.flatnonzero(labels == label))
        if len(rows) <= POOL_TRAIN + POOL_VAL:
            raise EpisodeError(
                f"class {label} has {len(rows)} rows; a pool without splits needs more than "
                f"{POOL_TRAIN + POOL_VAL} a class ({POOL_TRAIN} to train, {POOL_VAL} to validate, "
                "the rest to test)."
            )
        train.append(rows[:POOL_TRAIN])
        val.append(rows[POOL_TRAIN : POOL_TRAIN + POOL_VAL])
        test.append(rows[POOL_TRAIN + POOL_VAL :])
    return np.stack(train), np.stack(val), np.concatenate(test)


@dataclass(frozen=True)
class _Images:
    """The readable rows of a split: NumPy arrays, the row each stands at, extras to be read."""

    entry: Entry
    split: str
    extras: frozenset[str]
    x: NDArray[np.float32]
    label: NDArray[np.int64]
    ids: tuple[str, ...]
    row: NDArray[np.int64]

    def extra(self, name: str, rows: NDArray[np.int64]) -> Tensor | None:
        """That feature of some of these rows; None where it is not to be read."""
        if name not in self.extras:
            return None
        return _tensor(self.entry.extra(name, self.split, self.row[rows]))


def draw(
    entry: Entry,
    shots: int,
    seed: int,
    *,
    bank: str | None = None,
    views: int | None = None,
    extras: Collection[str] = (),
) -> Draw:
    """Draw an episode from a cache entry, with validation and test beside it.

    `views` limits how many augmented views come along (None: all that are cached). `extras` names
    what shall come with the embeddings where all splits have it: `pre-projection`, `patches`.
    Pictures that could not be read are never drawn. Raises `EpisodeError` where a class has too few
    pictures.
    """
    if shots < 1:
        raise EpisodeError(f"shots must be at least 1, got {shots}.")
    text = _text(entry.text(bank))
    negative = _text(entry.text(entry.negative_banks[-1])) if entry.negative_banks else None
    whole = frozenset(
        name
        for name in EXTRAS
        if name in extras
        and all(entry.encoded(split, name) == rows for split, rows in entry.splits.items())
    )
    if POOL in entry.splits:
        support, few, full, test = _draw_pool(entry, shots, seed, whole)
    else:
        support, few, full, test = _draw_splits(entry, shots, seed, views, whole)
    episode = Episode(
        support,
        text,
        entry.logit_scale,
        shots,
        seed,
        entry.dataset,
        entry.backbone,
        projection=_projection(entry) if support.pre is not None else None,
        negative=negative,
    )
    return Draw(episode, few, full, test)


def base_to_new(
    entry: Entry,
    shots: int,
    seed: int,
    *,
    bank: str | None = None,
    views: int | None = None,
    extras: Collection[str] = (),
) -> BaseToNew:
    """The first half of the classes (rounded up) to learn from, the rest to be named.

    The draw is made over all classes and then cut (CoOp, CoCoOp). Raises what `draw` raises.
    """
    drawn = draw(entry, shots, seed, bank=bank, views=views, extras=extras)
    classes = drawn.episode.classes
    half = (classes + 1) // 2
    base, new = range(half), range(half, classes)
    episode = drawn.episode
    support, text = episode.support, episode.text
    kept = support.labels < half
    ids = tuple(name for name, keep in zip(support.ids, kept.tolist(), strict=True) if keep)
    episode = replace(
        episode,
        support=Support(
            support.views[:, kept],
            support.labels[kept],
            ids,
            None if support.pre is None else support.pre[:, kept],
            None if support.patches is None else support.patches[kept],
        ),
        text=_text_of(text, base),
        task="base-to-new",
        negative=episode.negative and _text_of(episode.negative, base),
    )
    few, full = (held and _of(held, base) for held in (drawn.few_shot_val, drawn.full_val))
    cut = Draw(episode, few, full, _of(drawn.test, base))
    return BaseToNew(cut, _text_of(text, new), _of(drawn.test, new))


def _text_of(text: Text, classes: range) -> Text:
    part = slice(classes.start, classes.stop)
    return Text(text.prompts[part], text.mask[part], text.classnames[part])


def _of(pictures: Labelled, classes: range) -> Labelled:
    """The pictures of consecutive classes, whose labels then count from 0."""
    kept = (pictures.labels >= classes.start) & (pictures.labels < classes.stop)
    ids = tuple(name for name, keep in zip(pictures.ids, kept.tolist(), strict=True) if keep)
    pre, patches = (
        None if extra is None else extra[kept] for extra in (pictures.pre, pictures.patches)
    )
    return Labelled(pictures.x[kept], pictures.labels[kept] - classes.start, ids, pre, patches)


def _draw_pool(
    entry: Entry, shots: int, seed: int, extras: frozenset[str]
) -> tuple[Support, Labelled | None, Labelled | None, Labelled]:
    if shots > POOL_TRAIN:
        raise EpisodeError(
            f"{entry.dataset} has no splits, so at most {POOL_TRAIN} shots can be drawn from its "
            f"pool; {shots} were asked for."
        )
    images = _valid(entry, POOL, extras)
    train, val, test = pool_indices(images.label, seed)
    rows = train[:, :shots].ravel()
    few = val[:, : min(shots, VAL_SHOTS)].ravel()
    full = _labelled(images, val.ravel())
    return _support(images, rows), _labelled(images, few), full, _labelled(images, test)


def _draw_splits(
    entry: Entry, shots: int, seed: int, views: int | None, extras: frozenset[str]
) -> tuple[Support, Labelled | None, Labelled | None, Labelled]:
    images = _valid(entry, "train", extras)
    counts = np.bincount(images.label, minlength=len(entry.classnames))
    if counts.min() < shots:
        short = int(counts.argmin())
        raise EpisodeError(
            f"class {entry.classnames[short]!r} of {entry.dataset} has {counts[short]} training "
            f"pictures, fewer than the {shots} shots asked for."
        )
    rng = random.Random(seed)
    rows = np.array(draws.draw(images.label.tolist(), shots, rng))
    support = _support(images, rows, views)
    if support.pre is None:  # then nobody else's is of use
        extras -= {PRE_PROJECTION}
        images = replace(images, extras=extras)
    test = _valid(entry, "test", extras)
    k = min(shots, VAL_SHOTS)
    if "val" in entry.splits:
        val = _valid(entry, "val", extras)
        few = np.array(draws.draw(val.label.tolist(), k, rng))
        full = np.arange(len(val.label))
        return support, _labelled(val, few), _labelled(val, full), _all(test)
    # Without a val list (ImageNet), validation is held out from the training pictures not drawn.
    left = np.setdiff1d(np.arange(len(images.label)), rows)
    few = left[draws.draw(images.label[left].tolist(), k, rng)]
    enough = len(np.unique(images.label[left])) == len(entry.classnames)
    return support, _labelled(images, few) if enough else None, None, _all(test)


def _valid(entry: Entry, split: str, extras: frozenset[str]) -> _Images:
    images = entry.images(split)
    row = np.flatnonzero(images.valid)
    ids = tuple(images.id[i] for i in row)
    return _Images(entry, split, extras, images.embedding[row], images.label[row], ids, row)


def _labelled(images: _Images, rows: NDArray[np.int64]) -> Labelled:
    return Labelled(
        torch.from_numpy(images.x[rows]),
        torch.from_numpy(images.label[rows]),
        tuple(images.ids[row] for row in rows),
        images.extra(PRE_PROJECTION, rows),
        images.extra(PATCHES, rows),
    )


def _all(images: _Images) -> Labelled:
    return _labelled(images, np.arange(len(images.label)))


def _support(images: _Images, rows: NDArray[np.int64], views: int | None = 0) -> Support:
    """The drawn rows with at most that many cached views (None: all), their extras beside them."""
    last = None if views is None else views + 1
    where = images.row[rows]
    stack = images.entry.views(images.split, where) if views != 0 else None  # [v, n, d]
    pre: Tensor | None = None  # [v, n, p]
    if stack is None:
        stack = images.x[rows][None]
        centre = images.extra(PRE_PROJECTION, rows)
        pre = None if centre is None else centre[None]
    elif PRE_PROJECTION in images.extras:
        pre = _tensor(images.entry.views(images.split, where, PRE_PROJECTION))
    return Support(
        torch.from_numpy(stack[:last]),
        torch.from_numpy(images.label[rows]),
        tuple(images.ids[row] for row in rows),
        None if pre is None else pre[:last],
        images.extra(PATCHES, rows),
    )


def _tensor(array: NDArray[Any] | None) -> Tensor | None:
    return None if array is None else torch.from_numpy(array)


def _projection(entry: Entry) -> Projection | None:
    held = entry.projection()
    if held is None:
        return None
    return Projection(torch.from_numpy(held.weight), torch.from_numpy(held.bias))


def _text(text: TextFeatures) -> Text:
    return Text(torch.from_numpy(text.embedding), torch.from_numpy(text.mask), text.classnames)
