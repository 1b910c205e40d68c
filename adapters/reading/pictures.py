"""The readable pictures of a split as tensors: with labels, or as a support with their views.

Of a large split that is drawn from, labels are looked at and only the rows drawn are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adapters.episode import Labelled, Support, widened
from featcache.draws import Groups, grouped
from featcache.errors import CacheError
from featcache.store.entry import PATCHES, PRE_PROJECTION

if TYPE_CHECKING:
    from featcache.store.entry import Entry
    from featcache.store.features import ImageFeatures
    from featcache.store.index import Index

HALF = 1 << 25  # bytes of half precision, from which on a split is widened a portion at a time
FEW = 4  # the part of a split, as 1 in so many, above which all of it is read


@dataclass(frozen=True)
class Images:
    """The readable rows of a split, counted without the others; extras to be read of them.

    `index` is what is known of the rows of a split that is too large to be read for a few.
    """

    entry: Entry
    split: str
    extras: frozenset[str]
    index: Index | None = None

    @cached_property
    def held(self) -> ImageFeatures:
        """All of the split, read when it is asked for; of half precision where it is large."""
        width = self.entry.manifest["backbone"].get("width", 0)
        if 2 * width * self.entry.splits[self.split] < HALF:
            return self.entry.images(self.split)
        return self.entry.images(self.split, as_kept=True)

    @cached_property
    def row(self) -> NDArray[np.int64]:
        """Which row of the split each of these is `[n]`."""
        if self.index is None:
            return np.flatnonzero(self.held.valid)
        return np.sort(self.index.groups.rows).astype(np.int64)

    @cached_property
    def label(self) -> NDArray[np.int64]:
        """Their labels `[n]`."""
        return self._readable(self.held.label) if self.index is None else self.labels(self.row)

    def labels(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The labels of some rows of the split."""
        if self.index is None:
            return self.held.label[rows]
        return self.index.labels[rows].astype(np.int64)

    @cached_property
    def groups(self) -> Groups:
        """These rows by class."""
        if self.index is None:
            return grouped(self.label)
        groups = self.index.groups
        rows = groups.rows if self.index.whole else np.searchsorted(self.row, groups.rows)
        return Groups(rows, groups.starts)

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """The id of each `[n]`."""
        every = self.held.id if self.index is None else self.entry.ids(self.split)
        return every if len(every) == len(self) else tuple(every[row] for row in self.row)

    def __len__(self) -> int:
        return int(self.held.valid.sum()) if self.index is None else len(self.index.groups.rows)

    def at(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Which rows of the split some of these are."""
        return rows if self.index is not None and self.index.whole else self.row[rows]

    def some(self, rows: NDArray[np.int64]) -> tuple[NDArray[Any], tuple[str, ...]]:
        """Raw embeddings `[n, d]` and ids of some of these. Raises what reading them raises."""
        where = self.at(rows)
        if self.index is not None and FEW * len(rows) <= len(self):
            records = self.entry.shards("images", self.split)
            return self.index.read(self.entry.folder, records, where)
        return self.held.embedding[where], tuple(self.held.id[row] for row in where.tolist())

    def every(self) -> tuple[NDArray[Any], tuple[str, ...]]:
        """The same of all of these as `held` has them, without a copy where all could be read."""
        return self._readable(self.held.embedding), self.ids

    def extra(self, name: str, rows: NDArray[np.int64]) -> Tensor | None:
        """That feature of some of these rows; None where it is not to be read."""
        if name not in self.extras:
            return None
        return _tensor(self.entry.extra(name, self.split, self.at(rows)))

    def where(self, rows: Sequence[int]) -> NDArray[np.int64]:
        """Where rows of the split are among those that can be read; `CacheError` where not."""
        if not np.isin(rows, self.row).all():
            raise CacheError(f"{self.entry.key} lacks pictures of its own draws; unpack it anew.")
        return np.searchsorted(self.row, rows)

    def _readable(self, array: NDArray[Any]) -> NDArray[Any]:
        return array if self.held.valid.all() else array[self.held.valid]


def valid(entry: Entry, split: str, extras: frozenset[str]) -> Images:
    """Those of a split, all read; `extras` are to be read of them. Raises as `Entry.images`."""
    found = Images(entry, split, extras)
    _ = found.held  # refused here rather than where it is of use
    return found


def drawable(entry: Entry, split: str, extras: frozenset[str]) -> Images:
    """Those of a split of which some will be drawn. Raises as `Entry.images`."""
    index = entry.index(split)
    return valid(entry, split, extras) if index is None else Images(entry, split, extras, index)


def labelled(images: Images, rows: NDArray[np.int64]) -> Labelled:
    """Some rows `[n]` of the images with their labels."""
    return _labelled(images, rows, *images.some(rows))


def whole(images: Images) -> Labelled:
    """All of the images with their labels."""
    return _labelled(images, np.arange(len(images)), *images.every())


def _labelled(
    images: Images, rows: NDArray[np.int64], x: NDArray[Any], ids: tuple[str, ...]
) -> Labelled:
    return Labelled(
        torch.from_numpy(x),
        torch.from_numpy(images.labels(images.at(rows))),
        ids,
        images.extra(PRE_PROJECTION, rows),
        images.extra(PATCHES, rows),
    )


def support(images: Images, rows: NDArray[np.int64], views: int | None = 0) -> Support:
    """The drawn rows with at most that many cached views (None: all), their extras beside them."""
    where = images.at(rows)
    augmented = images.entry.views(images.split, where) if views != 0 else None  # [v, n, d]
    pre = images.extra(PRE_PROJECTION, rows)  # [n, p]
    pre_views: NDArray[np.float32] | None = None
    if augmented is not None and pre is not None:
        pre_views = images.entry.views(images.split, where, PRE_PROJECTION)
        pre = pre if pre_views is not None else None
    x, ids = images.some(rows)
    return Support(
        _with_centre(widened(torch.from_numpy(x)), augmented, views),
        torch.from_numpy(images.labels(where)),
        ids,
        None if pre is None else _with_centre(pre, pre_views, views),
        images.extra(PATCHES, rows),
    )


def _with_centre(centre: Tensor, augmented: NDArray[np.float32] | None, most: int | None) -> Tensor:
    """The centre crop as view 0 of `[v, n, d]`, before at most that many others."""
    if augmented is None:
        return centre[None]
    return torch.cat([centre[None], torch.from_numpy(augmented[:most])])


def _tensor(array: NDArray[Any] | None) -> Tensor | None:
    return None if array is None else torch.from_numpy(array)
