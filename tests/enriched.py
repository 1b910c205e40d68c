"""All that may be cached beside embeddings, added to a small entry without a model to make it."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from featcache.store.entry import EXTRAS, PATCHES, PRE_PROJECTION, Entry, reload
from featcache.store.features import ProjectionWeights
from featcache.store.writing import NewShard, amend, put, put_projection, put_text

VIEWS = 3
BIAS = 0.5  # of the projection


def enriched(
    entry: Entry,
    splits: Collection[str] | None = None,
    *,
    views: int = VIEWS,
    of_views: bool = True,
) -> Entry:
    """The entry with views of its first split (`train` or `pool`), extras and negative prompts.

    View v of row r is the centre crop plus v. What the projection takes of a picture is its
    embedding less the bias, then its row, which the projection does not look at; of a view that is
    so with `of_views` alone. Its two patches are full of r. The negative prompt of a class is its
    axis. The extras are those of `splits`, all without.
    """
    first = next(iter(entry.splits))
    x = {split: entry.images(split).embedding for split in entry.splits}
    shards = [_shard(each, PRE_PROJECTION, _pre(x[each])) for each in splits or x]
    shards += [_shard(each, PATCHES, _patches(x[each])) for each in splits or x]
    if views:
        moved = x[first][:, None] + np.arange(1, views + 1)[:, None]  # [n, v, d]
        shards.append(_views(first, "embedding", moved))
        if of_views:
            shards.append(_views(first, PRE_PROJECTION, _pre(moved)))
    put(entry, shards)
    width = next(iter(x.values())).shape[1]
    weight = np.eye(width + 1, width, dtype=np.float32)
    put_projection(entry, ProjectionWeights(weight, np.full(width, BIAS, np.float32)))
    with amend(entry) as manifest:
        manifest["extras"] = {name: [*(splits or x)] for name in EXTRAS}
        manifest["view_sets"] = {first: {"made": {"count": views}}} if views else {}
    classes = len(entry.classnames)
    put_text(entry, "negative", np.eye(classes, width), [[f"no {c}"] for c in range(classes)])
    return reload(entry)


def _pre(x: NDArray[np.float32]) -> NDArray[np.float16]:
    row = np.broadcast_to(np.arange(len(x)).reshape(-1, *[1] * (x.ndim - 1)), (*x.shape[:-1], 1))
    return np.concatenate([x - BIAS, row], -1).astype(np.float16)


def _patches(x: NDArray[np.float32]) -> NDArray[np.float16]:
    row = np.arange(len(x), dtype=np.float16)
    return np.broadcast_to(row[:, None, None], (len(x), 2, x.shape[1])).copy()


def _shard(split: str, name: str, values: NDArray[np.float16]) -> NewShard:
    record = {"kind": name, "split": split, "start": 0, "stop": len(values)}
    return NewShard(f"{name}-{split}-00000.h5", record, {name: values})


def _views(split: str, name: str, values: NDArray[np.floating]) -> NewShard:
    kind = "views" if name == "embedding" else name
    record = {"kind": kind, "split": split, "start": 0, "stop": len(values), "set": "made"}
    arrays = {name: values.astype(np.float16), "row": np.arange(len(values))}
    return NewShard(f"{kind}-views-{split}-made-00000.h5", record, arrays)
