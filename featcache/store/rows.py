"""Rows of a split, wherever they lie among its shards: read in the order in which they are asked.

`records` are what the manifest lists of the shards of one kind, split and view set, by file name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featcache.errors import CacheError, MissingShardError
from featcache.store import files, shard
from featcache.store.features import ImageFeatures

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Records = Mapping[str, Mapping[str, Any]]


def path_of(folder: Path, name: str, record: Mapping[str, Any]) -> Path:
    """Where a listed shard lies; `DamagedShardError` where it has another size than is listed.

    Raises `MissingShardError` where it is not there, `CacheError` where the system does not say.
    """
    path = folder / name
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise MissingShardError(files.missing(path)) from None
    except OSError as error:
        raise CacheError(files.unreadable(path, error)) from None
    files.check_size(path, size, record["bytes"])
    return path


def pick(
    folder: Path, records: Records, array: str, rows: NDArray[np.int64]
) -> NDArray[Any] | None:
    """Those rows `[n, …]` of an array whose shards hold every row; None for no rows at all."""
    import numpy as np

    found: NDArray[Any] | None = None
    for path, record, near in _near(folder, records, rows):
        inside = rows[near] - record["start"]
        places, back = np.unique(inside, return_inverse=True)
        # HDF5 picks rows one by one: many of them come faster with all the others.
        few = 4 * len(places) < record["stop"] - record["start"]
        held = shard.read(path, array, places if few else (), record)[array]
        if found is None:
            found = np.empty((len(rows), *held.shape[1:]), held.dtype)
        found[near] = held[back if few else inside]
    return found


def column(folder: Path, records: Records, array: str) -> NDArray[Any]:
    """One array of all rows, of shards that are listed in the order of rows."""
    import numpy as np

    return np.concatenate(
        [
            shard.read(path_of(folder, name, record), array, record=record)[array]
            for name, record in records.items()
        ]
    )


def everything(folder: Path, records: Records, as_kept: bool) -> ImageFeatures:
    """All rows of shards that are listed in the order of rows; embeddings float32, or as kept."""
    import numpy as np

    rows = sum(record["stop"] - record["start"] for record in records.values())
    embedding: NDArray[Any] = np.empty((rows, 0), np.float32)
    at, parts = 0, []

    def place(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        nonlocal embedding, at
        if not at:
            embedding = np.empty((rows, *shape[1:]), dtype if as_kept else np.float32)
        if dtype != embedding.dtype:  # shards of several types
            embedding = embedding.astype(np.float32, copy=False)
        at += shape[0]
        return embedding[at - shape[0] : at]

    for name, record in records.items():
        # Straight to where it belongs: twice as fast as to join what was read, then convert.
        path, into = path_of(folder, name, record), {"embedding": place}
        parts.append(shard.read(path, record=record, into=into))
    return ImageFeatures(
        embedding,
        np.concatenate([p["label"] for p in parts]),
        sum((shard.texts(p["id"]) for p in parts), ()),
        np.concatenate([p["valid"] for p in parts]),
        sum((shard.texts(p["reason"]) for p in parts), ()),
    )


def pick_views(
    folder: Path, records: Records, array: str, rows: NDArray[np.int64]
) -> tuple[int, NDArray[np.float32] | None]:
    """How many of the rows have views, and these as `[v, n, d]` if all of them do.

    Shards of views list the rows they hold under `row`, ascending.
    """
    import numpy as np

    picked: list[NDArray[np.float16]] = []
    order: list[NDArray[np.int64]] = []
    for path, record, near in _near(folder, records, rows):
        held = shard.read(path, "row", record=record)["row"]
        near = near[np.isin(rows[near], held)]
        places, back = np.unique(np.searchsorted(held, rows[near]), return_inverse=True)
        if len(places):
            part = shard.read(path, array, places, record)[array]
            picked.append(part[back])  # [rows, v, d]
            order.append(near)
    found = sum(len(part) for part in picked)
    if found != len(rows):
        return found, None
    inverse = np.argsort(np.concatenate(order))
    views = np.concatenate(picked)[inverse].astype(np.float32)
    return found, views.transpose(1, 0, 2).copy()


def _near(
    folder: Path, records: Records, rows: NDArray[np.int64]
) -> Iterator[tuple[Path, Mapping[str, Any], NDArray[np.int64]]]:
    """Each shard that may hold some of the rows, its record, and which of the rows those are."""
    import numpy as np

    for name, record in records.items():
        near = np.flatnonzero((rows >= record["start"]) & (rows < record["stop"]))
        if len(near):
            yield path_of(folder, name, record), record, near
