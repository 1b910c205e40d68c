"""Embeddings of pictures that belong to no data set; nothing is kept on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from featcache.backbones.backbone import Backbone
from featcache.datasets.dataset import Picture
from featcache.encoding.batches import Batches, feature_shapes
from featcache.encoding.staging import Staging
from featcache.pictures.decode import decode
from featcache.pictures.preprocess import fit_square
from featcache.store.entry import EMBEDDING


def embed(
    backbone: Backbone, sources: Sequence[Path | Picture], batch_size: int = 64
) -> NDArray[np.float32]:
    """Raw embeddings `[n, d]` of pictures that belong to no data set, in order.

    Raises `PictureError` at the first that cannot be read.
    """
    return embed_with(backbone, sources, (), batch_size)[EMBEDDING]


def embed_with(
    backbone: Backbone,
    sources: Sequence[Path | Picture],
    extras: Sequence[str],
    batch_size: int = 64,
) -> dict[str, NDArray[np.float32]]:
    """Such embeddings under the name `embedding`, and extras under theirs.

    `pre-projection` is `[n, p]`, `patches` `[n, t, d]`. Raises what `embed` raises, and
    `UnknownNameError` or `BackboneError` where the model has no such extras.
    """
    shapes = feature_shapes(backbone, extras)
    out = {name: np.zeros((len(sources), *shape), np.float32) for name, shape in shapes.items()}
    batches = Batches(Staging(backbone, min(batch_size, max(1, len(sources)))), out)
    for row, source in enumerate(sources):
        batches.add(row, fit_square(decode(source), backbone.preprocess))
    batches.flush()
    batches.collect()
    return out
