"""What is known of every row of a large split, so that few of them are read without the others.

An index says which rows each class has, where in its shard each row lies, and what sum it has. It
is made of checked blocks when rows are first asked for, and kept beside the shards; where it cannot
be, it stays in memory. No manifest lists it: one that is of other shards than are listed, or not
what was written, is made anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from zlib import crc32

from featcache.draws import Groups, grouped
from featcache.errors import CacheError, DamagedShardError
from featcache.files import replace
from featcache.store import files, shard
from featcache.store.rows import path_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Records = Mapping[str, Mapping[str, Any]]

LARGE = 1 << 26  # bytes of embeddings, below which a split is read whole in no time
FORMAT = 1
EMBEDDING, ID = "embedding", "id"


@dataclass(frozen=True)
class Index:
    """The readable rows of a split by class, and of each row a sum of its embedding and id.

    `sums [n]` and `places` are of all rows: by shard, in the order of rows, how each array lies.
    """

    groups: Groups
    sums: NDArray[np.uint32]
    places: Mapping[str, Mapping[str, shard.Place]]

    @property
    def whole(self) -> bool:
        """Whether every row could be read."""
        return len(self.groups.rows) == len(self.sums)

    def read(
        self, folder: Path, records: Records, rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], tuple[str, ...]]:
        """Embeddings `[n, d]` and ids of some rows, in the order in which they are asked for.

        Raises `DamagedShardError` where a row is not what was written, `MissingShardError`, or
        `CacheError` where the system does not give it.
        """
        import numpy as np

        width = next(iter(self.places.values()))[EMBEDDING].shape[0]
        found, ids = np.empty((len(rows), width), np.float32), [""] * len(rows)
        for name, record, near in _near(records, rows):
            path, inside = path_of(folder, name, record), rows[near] - record["start"]
            parts = shard.rows_at(path, self.places[name], inside)
            other = rows[near][_sums(parts) != self.sums[rows[near]]]
            if len(other):
                raise DamagedShardError(files.damaged(path, f"row {other[0]} is another"))
            found[near] = parts[EMBEDDING]
            for place, id_ in zip(near.tolist(), shard.texts(parts[ID]), strict=True):
                ids[place] = id_
        return found, tuple(ids)


def large(records: Records, width: int) -> bool:
    """Whether the shards of a split, of embeddings of that width, are worth an index.

    Shards of before have no sums of blocks; they are read whole.
    """
    rows = sum(record["stop"] - record["start"] for record in records.values())
    return 2 * width * rows >= LARGE and all("sums" in record for record in records.values())


def index_of(folder: Path, split: str, records: Records) -> Index:
    """The index of a split whose shards these are: as it was kept, or made anew and kept.

    Raises what reading every shard raises where it is made.
    """
    path, key = folder / f"index-{quote(split, safe='')}.bin", _key(records)
    if (kept := _kept(path, key)) is not None:
        return kept
    made = _made(folder, records)
    with suppress(CacheError):  # whoever may not write here does without
        replace(path, _packed(made, key))
    return made


def _made(folder: Path, records: Records) -> Index:
    import numpy as np

    labels, sums, places = [], [], {}
    for name, record in records.items():
        path = path_of(folder, name, record)
        held, lies = shard.surveyed(path, record, (EMBEDDING, ID, "label", "valid"))
        # 0 is the class of what could not be read, so that it is sorted out.
        labels.append(np.where(held["valid"], held["label"] + 1, 0))
        sums.append(_sums(held))
        places[name] = {array: lies[array] for array in (EMBEDDING, ID)}
    every = grouped(np.concatenate(labels))
    bad = every.starts[1]
    groups = Groups(every.rows[bad:].astype(np.int32), every.starts[1:] - bad)
    return Index(groups, np.concatenate(sums), places)


def _sums(arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.uint32]:
    """The sum of each row: of the bytes of its embedding, then of its id."""
    import numpy as np

    rows = zip(_bytes(arrays[EMBEDDING]), _bytes(arrays[ID]), strict=True)
    return np.array([crc32(id_, crc32(x)) for x, id_ in rows], np.uint32)


def _bytes(array: NDArray[Any]) -> list[bytes]:
    """The bytes of each row of an array."""
    import numpy as np

    plain = np.ascontiguousarray(array.reshape(len(array), -1))
    rows: list[bytes] = plain.view(f"V{plain.strides[0]}").ravel().tolist()
    return rows


def _near(
    records: Records, rows: NDArray[np.int64]
) -> Iterator[tuple[str, Mapping[str, Any], NDArray[np.int64]]]:
    """Each shard that holds some of the rows, its record, and which of the rows those are."""
    import numpy as np

    order = np.argsort(rows, kind="stable")
    stops = np.searchsorted(rows[order], [record["stop"] for record in records.values()])
    start = 0
    for (name, record), stop in zip(records.items(), stops.tolist(), strict=True):
        if stop > start:
            yield name, record, order[start:stop]
        start = stop


def _key(records: Records) -> str:
    """What an index is of: the shards, by the sums of their bytes, and which rows they hold."""
    told = [[name, r["start"], r["stop"], r["sha256"]] for name, r in records.items()]
    return hashlib.sha256(json.dumps([FORMAT, told]).encode()).hexdigest()


def _packed(index: Index, key: str) -> bytes:
    """A line of JSON that says what the rest is, then arrays, then JSON of where rows lie."""
    arrays = (index.groups.starts, index.sums, index.groups.rows)
    places = {
        name: {array: place.told for array, place in each.items()}
        for name, each in index.places.items()
    }
    body = b"".join(each.tobytes() for each in arrays) + json.dumps(places).encode()
    head = {"key": key, "lengths": [len(each) for each in arrays]}
    signed = {**head, "sum": crc32(body, crc32(json.dumps(head).encode()))}
    return json.dumps(signed).encode().ljust(255) + b"\n" + body


def _kept(path: Path, key: str) -> Index | None:
    """The index as it lies on disk, if it is of these shards and what was written."""
    import numpy as np

    try:
        with path.open("rb") as file:
            signed = json.loads(file.readline(1 << 10))
            body = np.memmap(file, np.uint8, "r", offset=file.tell())
        listed = signed.pop("sum")
        if signed["key"] != key or listed != crc32(body.data, crc32(json.dumps(signed).encode())):
            return None
        classes, all_rows, readable = signed["lengths"]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    ends = np.cumsum([8 * classes, 4 * all_rows, 4 * readable])
    starts, sums, rows, rest = (
        part.view(kind)
        for part, kind in zip(
            np.split(body, ends), (np.int64, np.uint32, np.int32, np.uint8), strict=True
        )
    )
    places = {
        name: {array: shard.Place(*told) for array, told in each.items()}
        for name, each in json.loads(rest.tobytes()).items()
    }
    return Index(Groups(rows, starts), sums, places)
