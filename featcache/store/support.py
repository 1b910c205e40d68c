"""Support sets that somebody drew elsewhere: read as they were, for they cannot be drawn again.

Their shards are of the kind `support` and carry `shots` and `seed`; the split is `train`, or `val`
for pictures that were drawn to validate with a set. On disk `embedding` is `[n, v, d]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featcache.errors import CacheError
from featcache.store import shard
from featcache.store.rows import path_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Records = Mapping[str, Mapping[str, Any]]

KIND = "support"


@dataclass(frozen=True)
class SupportFeatures:
    """`embedding [v, n, d]` float32 as imported, `label [n]`, `id`, and `pre [v, n, p]` or None.

    Whether view 0 is a centre crop, and whether rows have length 1, the manifest says (`views`,
    `normalised`).
    """

    embedding: NDArray[np.float32]
    label: NDArray[np.int64]
    id: tuple[str, ...]
    pre: NDArray[np.float32] | None


def _held(manifest: Mapping[str, Any], shots: int, seed: int, split: str) -> Records:
    """What is listed of the shards of one set, by file name, in the order of rows."""
    wanted = (KIND, split, shots, seed)
    keys = ("kind", "split", "shots", "seed")
    found = [
        (record["start"], name, record)
        for name, record in manifest["shards"].items()
        if tuple(record.get(key) for key in keys) == wanted
    ]
    return {name: record for _, name, record in sorted(found, key=lambda each: each[:2])}


def sets(manifest: Mapping[str, Any]) -> tuple[tuple[int, int], ...]:
    """Shots and seed of each set to train on, ascending."""
    every = (r for r in manifest["shards"].values() if r["kind"] == KIND and r["split"] == "train")
    return tuple(sorted({(record["shots"], record["seed"]) for record in every}))


def lacking(manifest: Mapping[str, Any]) -> list[str]:
    """The names of sets of which not all rows are listed."""
    there: dict[str, int] = {}
    for record in manifest["shards"].values():
        if record["kind"] == KIND:
            there[record["set"]] = there.get(record["set"], 0) + record["stop"] - record["start"]
    wanted = manifest["dataset"].get("supports", {})
    return [name for name, rows in wanted.items() if there.get(name, 0) != rows]


def read(
    folder: Path, manifest: Mapping[str, Any], shots: int, seed: int, split: str
) -> SupportFeatures | None:
    """The set of a draw; None where nothing was drawn to validate with it.

    Raises `CacheError` where there is no such set, or a shard is missing or damaged.
    """
    import numpy as np

    records, there = _held(manifest, shots, seed, split), sets(manifest)
    if not records and split != "train" and (shots, seed) in there:
        return None
    if not records:
        listed = ", ".join(f"{k} shots with seed {s}" for k, s in there) or "none"
        raise CacheError(
            f"{'/'.join(folder.parts[-3:])} has no support of {shots} shots with seed {seed}, and "
            f"what was imported cannot be drawn anew; it holds {listed}."
        )
    parts = [
        shard.read(path_of(folder, name, record), record=record) for name, record in records.items()
    ]

    def joined(name: str) -> NDArray[np.float32]:
        whole = np.concatenate([part[name] for part in parts]).astype(np.float32)
        return np.ascontiguousarray(whole.transpose(1, 0, 2))

    return SupportFeatures(
        joined("embedding"),
        np.concatenate([part["label"] for part in parts]),
        sum((shard.texts(part["id"]) for part in parts), ()),
        joined("pre-projection") if "pre-projection" in parts[0] else None,
    )
