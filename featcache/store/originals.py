"""Of what each row was made: a digest of the picture's bytes, and its file's state when read.

They lie in shards of the kind `pictures`, one beside each shard of embeddings. File times belong to
one machine, so these shards count for no identity: two caches of the same pictures differ in them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from featcache.store import shard
from featcache.store.rows import path_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from featcache.store.entry import Entry

KIND = "pictures"


@dataclass(frozen=True)
class Originals:
    """The pictures of some rows: ids, labels, digests (empty where nothing could be read), states.

    `state [n, 3]` is each file's size and its two times; see `featcache.pictures.digest`.
    """

    id: tuple[str, ...]
    label: tuple[int, ...]
    digest: tuple[str, ...]
    state: NDArray[np.int64]

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """What a shard keeps of them."""
        import numpy as np

        return {
            "digest": shard.strings(self.digest),
            "id": shard.strings(self.id),
            "label": np.array(self.label, np.int64),
            "state": np.asarray(self.state, np.int64).reshape(-1, 3),
        }


def read(entry: Entry, name: str) -> Originals:
    """The originals that a listed or older shard holds. Raises what `shard.read` raises."""
    record = entry.manifest["shards"].get(name) or entry.manifest["older"][name]
    held = shard.read(path_of(entry.folder, name, record), record=record)
    labels = tuple(int(label) for label in held["label"])
    return Originals(shard.texts(held["id"]), labels, shard.texts(held["digest"]), held["state"])


def contents(entry: Entry) -> dict[str, str]:
    """By split a hash of ids, labels and digests, for splits of which every row is known."""
    found = {}
    for split, rows in entry.splits.items():
        units = [read(entry, name) for name in entry.shards(KIND, split)]
        if rows and sum(len(unit.id) for unit in units) == rows:
            found[split] = content_hash(
                [i for unit in units for i in unit.id],
                [label for unit in units for label in unit.label],
                [digest for unit in units for digest in unit.digest],
            )
    return found


def content_hash(
    ids: Sequence[str], labels: Sequence[int], digests: Sequence[str] | None = None
) -> str:
    """A short hash of what the rows of a split are, in their order."""
    found = hashlib.sha256()
    for row in zip(ids, labels, digests or [""] * len(ids), strict=True):
        found.update("\0".join(map(str, row)).encode() + b"\n")
    return found.hexdigest()[:16]
