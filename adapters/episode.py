"""What flows: texts, pictures with and without labels, the episode that a fit sees, the draw.

How they are drawn from a cache entry is `adapters.drawing`; nothing here reads a disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from adapters.maths.text_tower import Tower
from featcache.errors import EpisodeError
from featcache.store.entry import EMBEDDING, PATCHES, PRE_PROJECTION

VIEWS, NEGATIVE_PROMPTS, TEXT_TOWER = "views", "negative prompts", "text tower"


class TextTower(Protocol):
    """The text tower that texts are of, for methods that learn prompts; read once it is asked."""

    def on(self, device: torch.device) -> Tower:
        """Its tensors on a device."""
        ...

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Tokens of each text, without those of its start and its end."""
        ...


@dataclass(frozen=True)
class Text:
    """Raw prompt embeddings of each class, every prompt apart.

    `prompts [c, p, d]`, `mask [c, p]` (false where a class has fewer prompts than p). Where the
    data has no text it is `absent`: zeros. `tower` encodes other prompts of the classes, where the
    cache keeps it.
    """

    prompts: Tensor
    mask: Tensor
    classnames: tuple[str, ...]
    absent: bool = False
    tower: TextTower | None = None

    def unit(self) -> Tensor:
        """Class vectors `[c, d]`: each prompt normalised, their mean, normalised again."""
        return normalize(self._mean(normalize(self.prompts, dim=-1)), dim=-1)

    def raw(self) -> Tensor:
        """Class vectors `[c, d]`: the mean of the raw prompt embeddings, norms kept."""
        return self._mean(self.prompts)

    def of(self, classes: range) -> Text:
        """Some consecutive classes."""
        part = slice(classes.start, classes.stop)
        names = self.classnames[part]
        return Text(self.prompts[part], self.mask[part], names, self.absent, self.tower)

    def _mean(self, prompts: Tensor) -> Tensor:
        mask = self.mask.unsqueeze(-1).to(prompts.dtype)
        return (prompts * mask).sum(-2) / mask.sum(-2)


@dataclass(frozen=True)
class Query:
    """All that is known of pictures without labels.

    `x [q, d]` are raw embeddings, of half precision where there are many (`query[rows]` widens
    them); `pre [q, p]` what the visual projection takes and `patches [q, t, d]` projected patch
    tokens (float16) are None where they are not cached or not asked for.
    """

    x: Tensor
    pre: Tensor | None = None
    patches: Tensor | None = None

    @classmethod
    def of_features(cls, features: Mapping[str, NDArray[np.float32]]) -> Query:
        """What `featcache.embed_with` gives of pictures."""
        x, pre, patches = (
            torch.from_numpy(features[name]) if name in features else None
            for name in (EMBEDDING, PRE_PROJECTION, PATCHES)
        )
        assert x is not None
        return cls(x, pre, patches)

    def __getitem__(self, rows: slice) -> Query:
        """Some of the pictures, their embeddings in single precision."""
        pre = None if self.pre is None else self.pre[rows]
        return Query(
            widened(self.x[rows]), pre, None if self.patches is None else self.patches[rows]
        )


@dataclass(frozen=True)
class Labelled:
    """Pictures with labels: `x [n, d]` raw, `labels [n]`, ids; all but these as in `Query`."""

    x: Tensor
    labels: Tensor
    ids: tuple[str, ...]
    pre: Tensor | None = None
    patches: Tensor | None = None

    @property
    def query(self) -> Query:
        """The same pictures without their labels."""
        return Query(self.x, self.pre, self.patches)

    def of(self, classes: range) -> Labelled:
        """The pictures of consecutive classes, whose labels then count from 0."""
        kept = _within(self.labels, classes)
        pre, patches = (
            None if extra is None else extra[kept] for extra in (self.pre, self.patches)
        )
        labels = self.labels[kept] - classes.start
        return Labelled(self.x[kept], labels, _those(self.ids, kept), pre, patches)


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
    where they are not cached or not asked for. `ends [v, n, d]` are unit vectors of a view's own
    class, where a base of the method reads classes by the picture.
    """

    views: Tensor
    labels: Tensor
    ids: tuple[str, ...]
    pre: Tensor | None = None
    patches: Tensor | None = None
    ends: Tensor | None = None

    @property
    def x(self) -> Tensor:
        """The centre crops `[n, d]`, raw."""
        return self.views[0]

    @cached_property
    def unit_views(self) -> Tensor:
        """The views `[v, n, d]`, normalised; kept, for the fits on one draw share them."""
        return normalize(self.views, dim=-1)

    @cached_property
    def weights(self) -> Tensor | None:
        """What each picture counts `[n]`, so that classes count alike; None if they are as large.

        The mean is 1. Classes without pictures do not count. Ours: published methods are made for
        as many pictures of each class, and nothing changes there.
        """
        counts = torch.bincount(self.labels, minlength=1)
        there = int((counts > 0).sum())
        if there * int(counts.max()) == len(self.labels):
            return None
        return len(self.labels) / (there * counts[self.labels].to(self.views.dtype))

    def keys(self) -> Tensor:
        """One unit vector a picture `[n, d]`: the mean of its raw views, normalised."""
        return normalize(self.views.mean(0), dim=-1)

    def one_hot(self, classes: int) -> Tensor:
        """The labels as `[n, c]`, float."""
        return torch.nn.functional.one_hot(self.labels, classes).to(self.views.dtype)

    def of(self, classes: range) -> Support:
        """The pictures of consecutive classes, whose labels then count from 0."""
        kept = _within(self.labels, classes)
        return Support(
            self.views[:, kept],
            self.labels[kept] - classes.start,
            _those(self.ids, kept),
            None if self.pre is None else self.pre[:, kept],
            None if self.patches is None else self.patches[kept],
        )


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
            TEXT_TOWER: self.text.tower is not None,
        }
        return frozenset(name for name, there in found.items() if there)


@dataclass(frozen=True)
class Target:
    """A test set: pictures that no fit sees, and the classes that they are to be told apart by.

    Its labels count in the episode's classes; or, where `text` is given, in those: an adapter is
    then asked `with_text`; or, where `columns` are given, in the classes of the episode that these
    are. `name` is what its row carries.
    """

    name: str
    pictures: Labelled
    text: Text | None = None
    columns: tuple[int, ...] | None = None

    @property
    def own(self) -> bool:
        """Whether it is of the data set, and among the classes, that a fit sees."""
        return self.text is None and self.columns is None


@dataclass(frozen=True)
class Draw:
    """An episode with what stands beside it, for selection and for the final scores.

    `few_shot_val` holds min(K, 4) pictures a class, `full_val` the whole validation list; either is
    None where the data has none. The first target has the classes of the episode, unless the data
    has no test split.
    """

    episode: Episode
    few_shot_val: Labelled | None
    full_val: Labelled | None
    targets: tuple[Target, ...]

    @property
    def test(self) -> Labelled:
        """The pictures of the first target. Raises `EpisodeError` without a test split."""
        if not (self.targets and self.targets[0].own):
            raise EpisodeError(
                f"{self.episode.dataset} has no test split; take another set, or one of its own "
                "splits with `adapters evaluate --split`."
            )
        return self.targets[0].pictures


def widened(x: Tensor) -> Tensor:
    """Embeddings to be worked with: those of half precision in single precision."""
    return x.float() if x.dtype == torch.half else x


def _within(labels: Tensor, classes: range) -> Tensor:
    return (labels >= classes.start) & (labels < classes.stop)


def _those(ids: tuple[str, ...], kept: Tensor) -> tuple[str, ...]:
    return tuple(name for name, keep in zip(ids, kept.tolist(), strict=True) if keep)
