"""The writing side of the cache: shards first, then the manifest that lists them."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from featcache.store import files, manifest, shard
from featcache.store.entry import PROJECTION_SHARD, Entry
from featcache.store.features import ProjectionWeights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Listing may take a tenth of the time, where once takes more than so many seconds.
RARELY, SHORT = 9, 0.1


class NewShard(NamedTuple):
    """A shard to be written: its file name, what the manifest shall say of it, its arrays."""

    name: str
    record: dict[str, Any]
    arrays: shard.Arrays


def amend(entry: Entry) -> AbstractContextManager[dict[str, Any]]:
    """The newest manifest of an entry, to be changed; see `featcache.store.manifest.amend`."""
    return manifest.amend(entry.folder, entry.manifest)


def write(entry: Entry, shards: Iterable[NewShard]) -> dict[str, dict[str, Any]]:
    """Write shards and give their records with size and hash, which are not listed yet."""
    return {
        name: {**record, **asdict(shard.write(entry.folder / name, arrays))}
        for name, record, arrays in shards
    }


def put(entry: Entry, shards: Iterable[NewShard]) -> None:
    """Write shards, and list them when all are on disk.

    A place has one shard: one of another name that was listed there no longer is. Raises
    `CacheError` where the disk refuses; then none of them is listed.
    """
    _list(entry, write(entry, shards))


class Listing:
    """Puts one group of shards after the other, and lists several together where that takes long.

    The manifest is written anew each time: of 10,000 shards that would take as long as a GPU takes
    to make the next. Who is killed loses what is not listed yet, and does that again.
    """

    def __init__(self, entry: Entry) -> None:
        self.entry, self._due = entry, 0.0
        self._records: dict[str, dict[str, Any]] = {}

    def put(self, shards: Iterable[NewShard]) -> None:
        """Write shards, and list them now, or later with others; raises as `put`."""
        self._records |= write(self.entry, shards)
        if time.monotonic() >= self._due:
            self.finish()

    def finish(self) -> None:
        """List what is not listed yet, once: raises `CacheError` where the disk refuses."""
        if not self._records:
            return
        began = time.monotonic()
        records, self._records = self._records, {}  # tried once: a lock may not have been let go
        _list(self.entry, records)
        ended = time.monotonic()
        if ended - began > SHORT:
            self._due = ended + RARELY * (ended - began)


def _list(entry: Entry, records: Mapping[str, dict[str, Any]]) -> None:
    with amend(entry) as manifest:
        held = manifest["shards"]
        # Another writer of the same rows may have put its file there since, and listed it.
        records = {n: r for n, r in records.items() if n not in held or _is_of(entry.folder / n, r)}
        places = {_place(record) for record in records.values()}
        kept = {n: r for n, r in held.items() if _place(r) not in places}
        manifest["shards"] = kept | records


def _is_of(file: Path, record: Mapping[str, Any]) -> bool:
    try:
        return bool(files.sha256(file) == record["sha256"])
    except OSError:
        return False


def _place(record: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(record.get(key) for key in ("kind", "split", "start", "set"))


def put_text(
    entry: Entry, bank: str, embedding: NDArray[Any], prompts: Sequence[Sequence[str]]
) -> None:
    """Write one prompt bank, `embedding [p, d]` class by class, and list it as the newest."""
    import numpy as np

    classes = [c for c, mine in enumerate(prompts) for _ in mine]
    arrays: dict[str, NDArray[Any]] = {
        "class": np.array(classes, np.int64),
        "embedding": embedding.astype(np.float16),
        "prompt": shard.strings([prompt for mine in prompts for prompt in mine]),
    }
    name = text_name(bank, prompts)
    records = write(entry, [NewShard(name, {"kind": "text", "bank": bank}, arrays)])
    with amend(entry) as listed:
        # One that was lost and is the same again keeps its place: the last is what `fit` takes.
        if listed["texts"].get(bank) != name or name in listed["shards"]:
            listed["texts"].pop(bank, None)
        listed["shards"] |= records
        listed["texts"][bank] = name


def put_projection(entry: Entry, projection: ProjectionWeights) -> None:
    """Write the last map of the image tower and list it."""
    arrays = {"bias": projection.bias, "weight": projection.weight}
    put(entry, [NewShard(PROJECTION_SHARD, {"kind": "projection"}, arrays)])


def image_arrays(
    embedding: NDArray[np.float16],
    label: Sequence[int] | NDArray[np.int64],
    id: Sequence[str],
    valid: NDArray[np.bool_],
    reason: Sequence[str],
) -> dict[str, NDArray[Any]]:
    """The arrays of a shard of centre crops; see `featcache.store.entry.ImageFeatures`."""
    import numpy as np

    return {
        "embedding": embedding,
        "id": shard.strings(id),
        "label": np.asarray(label, np.int64),
        "reason": shard.strings(reason),
        "valid": valid,
    }


def text_name(bank: str, prompts: Sequence[Sequence[str]]) -> str:
    """File name of a prompt bank's shard: it changes with the prompts."""
    digest = hashlib.sha256(json.dumps([list(mine) for mine in prompts]).encode()).hexdigest()
    return f"text-{bank}-{digest[:8]}.h5"
