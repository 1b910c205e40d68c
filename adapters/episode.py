"""Few-shot draws: what a fit may see, and the test split that lies beside it.

Two rules of drawing. Data sets with splits are drawn as CoOp draws them (Zhou et al. 2022,
Dassl's `generate_fewshot_dataset`): one `random.Random(seed)`, train before val, classes in
order of first appearance. Features without splits are one pool: for each class in label order
`numpy.random.default_rng(seed)` permutes its rows; the first 16 are the training pool (K shots
are its first K), the next 4 validation, the rest test.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from featcache import draws
from featcache.draws import VAL_SHOTS
from featcache.errors import EpisodeError

if TYPE_CHECKING:
    from featcache.cache import Entry, ImageFeatures, TextFeatures

POOL = "pool"
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
class Labelled:
    """Pictures with labels: `x [n, d]` raw, `labels [n]`, ids."""

    x: Tensor
    labels: Tensor
    ids: tuple[str, ...]


@dataclass(frozen=True)
class Support:
    """The drawn training pictures: `views [v, n, d]` raw, view 0 the centre crop."""

    views: Tensor
    labels: Tensor
    ids: tuple[str, ...]

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
    """All that a fit may see. There is no test split in it."""

    support: Support
    text: Text
    logit_scale: float
    shots: int
    seed: int
    dataset: str = ""
    backbone: str = ""
    task: str = "few-shot"

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.text.classnames)


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
    """The readable rows of a split: NumPy arrays, and the row each stands at."""

    x: NDArray[np.float32]
    label: NDArray[np.int64]
    ids: tuple[str, ...]
    row: NDArray[np.int64]


def draw(
    entry: Entry, shots: int, seed: int, *, bank: str | None = None, views: int | None = None
) -> Draw:
    """Draw an episode from a cache entry, with validation and test beside it.

    `views` limits how many augmented views come along (None: all that are cached). Pictures that
    could not be read are never drawn. Raises `EpisodeError` where a class has too few pictures.
    """
    if shots < 1:
        raise EpisodeError(f"shots must be at least 1, got {shots}.")
    text = _text(entry.text(bank))
    if POOL in entry.splits:
        support, few, full, test = _draw_pool(entry, shots, seed)
    else:
        support, few, full, test = _draw_splits(entry, shots, seed, views)
    episode = Episode(support, text, entry.logit_scale, shots, seed, entry.dataset, entry.backbone)
    return Draw(episode, few, full, test)


def base_to_new(
    entry: Entry, shots: int, seed: int, *, bank: str | None = None, views: int | None = None
) -> BaseToNew:
    """The first half of the classes (rounded up) to learn from, the rest to be named.

    The draw is made over all classes and then cut (CoOp, CoCoOp). Raises what `draw` raises.
    """
    drawn = draw(entry, shots, seed, bank=bank, views=views)
    classes = drawn.episode.classes
    half = (classes + 1) // 2
    base, new = range(half), range(half, classes)
    episode = drawn.episode
    support, text = episode.support, episode.text
    kept = support.labels < half
    ids = tuple(name for name, keep in zip(support.ids, kept.tolist(), strict=True) if keep)
    episode = replace(
        episode,
        support=Support(support.views[:, kept], support.labels[kept], ids),
        text=_text_of(text, base),
        task="base-to-new",
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
    return Labelled(pictures.x[kept], pictures.labels[kept] - classes.start, ids)


def _draw_pool(
    entry: Entry, shots: int, seed: int
) -> tuple[Support, Labelled | None, Labelled | None, Labelled]:
    if shots > POOL_TRAIN:
        raise EpisodeError(
            f"{entry.dataset} has no splits, so at most {POOL_TRAIN} shots can be drawn from its "
            f"pool; {shots} were asked for."
        )
    images = _valid(entry.images(POOL))
    train, val, test = pool_indices(images.label, seed)
    rows = train[:, :shots].ravel()
    few = val[:, : min(shots, VAL_SHOTS)].ravel()
    full = _labelled(images, val.ravel())
    return _support(images, rows, None), _labelled(images, few), full, _labelled(images, test)


def _draw_splits(
    entry: Entry, shots: int, seed: int, views: int | None
) -> tuple[Support, Labelled | None, Labelled | None, Labelled]:
    images, test = _valid(entry.images("train")), _valid(entry.images("test"))
    counts = np.bincount(images.label, minlength=len(entry.classnames))
    if counts.min() < shots:
        short = int(counts.argmin())
        raise EpisodeError(
            f"class {entry.classnames[short]!r} of {entry.dataset} has {counts[short]} training "
            f"pictures, fewer than the {shots} shots asked for."
        )
    rng = random.Random(seed)
    rows = np.array(draws.draw(images.label.tolist(), shots, rng))
    cached = entry.views("train", images.row[rows]) if views != 0 else None
    support = _support(
        images, rows, cached if views is None or cached is None else cached[: views + 1]
    )
    k = min(shots, VAL_SHOTS)
    if "val" in entry.splits:
        val = _valid(entry.images("val"))
        few = np.array(draws.draw(val.label.tolist(), k, rng))
        full = np.arange(len(val.label))
        return support, _labelled(val, few), _labelled(val, full), _all(test)
    # Without a val list (ImageNet), validation is held out from the training pictures not drawn.
    left = np.setdiff1d(np.arange(len(images.label)), rows)
    few = left[draws.draw(images.label[left].tolist(), k, rng)]
    enough = len(np.unique(images.label[left])) == len(entry.classnames)
    return support, _labelled(images, few) if enough else None, None, _all(test)


def _valid(images: ImageFeatures) -> _Images:
    row = np.flatnonzero(images.valid)
    ids = tuple(images.id[i] for i in row)
    return _Images(images.embedding[row], images.label[row], ids, row)


def _labelled(images: _Images, rows: NDArray[np.int64]) -> Labelled:
    ids = tuple(images.ids[row] for row in rows)
    return Labelled(torch.from_numpy(images.x[rows]), torch.from_numpy(images.label[rows]), ids)


def _all(images: _Images) -> Labelled:
    return _labelled(images, np.arange(len(images.label)))


def _support(
    images: _Images, rows: NDArray[np.int64], views: NDArray[np.float32] | None
) -> Support:
    stack = images.x[rows][None] if views is None else views  # [v, n, d]
    ids = tuple(images.ids[row] for row in rows)
    return Support(torch.from_numpy(stack), torch.from_numpy(images.label[rows]), ids)


def _text(text: TextFeatures) -> Text:
    return Text(torch.from_numpy(text.embedding), torch.from_numpy(text.mask), text.classnames)
