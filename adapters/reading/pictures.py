"""The readable pictures of a split as tensors: with labels, or as a support with their views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adapters.episode import Labelled, Support
from featcache.errors import CacheError
from featcache.store.entry import PATCHES, PRE_PROJECTION

if TYPE_CHECKING:
    from featcache.store.entry import Entry


@dataclass(frozen=True)
class Images:
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

    def where(self, rows: Sequence[int]) -> NDArray[np.int64]:
        """Where rows of the split are among those that can be read; `CacheError` where not."""
        if not np.isin(rows, self.row).all():
            raise CacheError(f"{self.entry.key} lacks pictures of its own draws; unpack it anew.")
        return np.searchsorted(self.row, rows)


def valid(entry: Entry, split: str, extras: frozenset[str]) -> Images:
    """Those of a split; `extras` are to be read of them. Raises what `Entry.images` raises."""
    images = entry.images(split)
    row = np.flatnonzero(images.valid)
    ids = tuple(images.id[i] for i in row)
    return Images(entry, split, extras, images.embedding[row], images.label[row], ids, row)


def labelled(images: Images, rows: NDArray[np.int64]) -> Labelled:
    """Some rows `[n]` of the images with their labels."""
    return Labelled(
        torch.from_numpy(images.x[rows]),
        torch.from_numpy(images.label[rows]),
        tuple(images.ids[row] for row in rows),
        images.extra(PRE_PROJECTION, rows),
        images.extra(PATCHES, rows),
    )


def whole(images: Images) -> Labelled:
    """All of the images with their labels."""
    return labelled(images, np.arange(len(images.label)))


def support(images: Images, rows: NDArray[np.int64], views: int | None = 0) -> Support:
    """The drawn rows with at most that many cached views (None: all), their extras beside them."""
    where = images.row[rows]
    augmented = images.entry.views(images.split, where) if views != 0 else None  # [v, n, d]
    pre = images.extra(PRE_PROJECTION, rows)  # [n, p]
    pre_views: NDArray[np.float32] | None = None
    if augmented is not None and pre is not None:
        pre_views = images.entry.views(images.split, where, PRE_PROJECTION)
        pre = pre if pre_views is not None else None
    return Support(
        _with_centre(torch.from_numpy(images.x[rows]), augmented, views),
        torch.from_numpy(images.label[rows]),
        tuple(images.ids[row] for row in rows),
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
