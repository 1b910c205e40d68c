"""What is known of every row of a large split, so that few of them are read without the others.

An index says which rows each class has, where in its shard each row lies, and what sum it has. It
is made of checked blocks when rows are first asked for, and kept beside the shards; where it cannot
be, it stays in memory. No manifest lists it: one that is of other shards than are listed, or not
what was written, is made anew.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
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
    Places = Mapping[str, shard.Place]

LARGE = 1 << 26  # bytes of embeddings, below which a split is read whole in no time
FORMAT = 2
PORTION = 4096  # rows that are converted at once
EMBEDDING, ID = "embedding", "id"


@dataclass(frozen=True)
class Index:
    """The readable rows of a split by class, and of each row a sum of its embedding and id.

    `sums [n]` are of all rows; `places` say by shard, in the order of rows, how each array lies.
    """

    groups: Groups
    sums: NDArray[np.uint32]
    places: Sequence[Places]

    @property
    def whole(self) -> bool:
        """Whether every row could be read."""
        return len(self.groups.rows) == len(self.sums)

    @cached_property
    def labels(self) -> NDArray[np.int32]:
        """The class of each row of the split `[n]`; -1 where it could not be read."""
        import numpy as np

        found = np.full(len(self.sums), -1, np.int32)
        counts = self.groups.counts
        found[self.groups.rows] = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        return found

    def read(
        self, folder: Path, records: Records, rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], tuple[str, ...]]:
        """Embeddings `[n, d]` and ids of some rows, in the order in which they are asked for.

        Raises `DamagedShardError` where a row is not what was written, `MissingShardError`, or
        `CacheError` where the system does not give it.
        """
        import numpy as np

        order = np.argsort(rows, kind="stable")
        width = self.places[0][EMBEDDING].shape[0]
        found, ids = np.empty((len(rows), width), np.float32), np.empty(len(rows), object)
        for near, dtype, parts, names in _portions(self._read(folder, records, rows[order])):
            some = order[near]
            found[some] = np.frombuffer(b"".join(parts), dtype).reshape(-1, width)
            ids[some] = [name.rstrip(b"\0").decode() for name in names]
        return found, tuple(ids.tolist())

    def _read(
        self, folder: Path, records: Records, rows: NDArray[np.int64]
    ) -> Iterator[tuple[str, list[bytes], list[bytes]]]:
        """Of rows in ascending order those of each shard: type and bytes of embeddings, and ids."""
        import numpy as np

        starts = np.array([record["start"] for record in records.values()])
        ends = np.searchsorted(rows, [*starts[1:], len(self.sums)])
        counts = np.diff(ends, prepend=0)
        start = f"{folder}{os.sep}"
        # Lists, for there may be as many shards as rows: what is done for each has to be little.
        inside, sums = (rows - starts.repeat(counts)).tolist(), self.sums[rows].tolist()
        for (name, record), places, stop, count in zip(
            records.items(), self.places, ends.tolist(), counts.tolist(), strict=True
        ):
            if not count:
                continue
            near, path = slice(stop - count, stop), f"{start}{name}"
            parts = shard.rows_at(path, record["bytes"], places, inside[near])
            own = _sums(parts[EMBEDDING], parts[ID])
            if own != sums[near]:
                other = next(
                    i for i, (a, b) in enumerate(zip(own, sums[near], strict=True)) if a != b
                )
                told = f"row {rows[near][other]} is another"
                raise DamagedShardError(files.damaged(folder / name, told))
            yield places[EMBEDDING].dtype, parts[EMBEDDING], parts[ID]


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

    labels, sums, places = [], [], []
    for name, record in records.items():
        path = path_of(folder, name, record)
        held, lies = shard.surveyed(path, record, (EMBEDDING, ID, "label", "valid"))
        # 0 is the class of what could not be read, so that it is sorted out.
        labels.append(np.where(held["valid"], held["label"] + 1, 0))
        own = _sums(*(_bytes(held[array]) for array in (EMBEDDING, ID)))
        sums.append(np.array(own, np.uint32))
        places.append({array: lies[array] for array in (EMBEDDING, ID)})
    every = grouped(np.concatenate(labels))
    bad = every.starts[1]
    groups = Groups(every.rows[bad:].astype(np.int32), every.starts[1:] - bad)
    return Index(groups, np.concatenate(sums), places)


def _sums(embeddings: Iterable[bytes], ids: Iterable[bytes]) -> list[int]:
    """The sum of each row: of the bytes of its embedding, then of its id."""
    return [*map(crc32, ids, map(crc32, embeddings))]  # no Python a row: there are millions


def _bytes(array: NDArray[Any]) -> list[bytes]:
    """The bytes of each row of an array."""
    import numpy as np

    plain = np.ascontiguousarray(array.reshape(len(array), -1))
    rows: list[bytes] = plain.view(f"V{plain.strides[0]}").ravel().tolist()
    return rows


def _portions(
    shards: Iterable[tuple[str, list[bytes], list[bytes]]],
) -> Iterator[tuple[slice, str, list[bytes], list[bytes]]]:
    """What was read of one shard after the other in portions of one type, and which rows it is."""
    first, kind, parts, ids = 0, "", list[bytes](), list[bytes]()
    for dtype, more, names in shards:
        if parts and (dtype != kind or len(parts) >= PORTION):
            yield slice(first, first + len(parts)), kind, parts, ids
            first, parts, ids = first + len(parts), [], []
        kind = dtype
        parts += more
        ids += names
    if parts:
        yield slice(first, first + len(parts)), kind, parts, ids


def _key(records: Records) -> str:
    """What an index is of: the shards, by the sums of their bytes, and which rows they hold."""
    told = [[name, r["start"], r["stop"], r["sha256"]] for name, r in records.items()]
    return hashlib.sha256(json.dumps([FORMAT, told]).encode()).hexdigest()


def _packed(index: Index, key: str) -> bytes:
    """A line of JSON that says what the rest is, then arrays, then JSON of where rows lie."""
    arrays = (index.groups.starts, index.sums, index.groups.rows)
    # Shards of one size lie alike, however many there are.
    told = [json.dumps({name: lie.told for name, lie in each.items()}) for each in index.places]
    kinds = {each: i for i, each in enumerate(dict.fromkeys(told))}
    places = [[json.loads(each) for each in kinds], [kinds[each] for each in told]]
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
    told, of = json.loads(rest.tobytes())
    kinds = [{name: shard.Place(*lie) for name, lie in each.items()} for each in told]
    return Index(Groups(rows, starts), sums, [kinds[i] for i in of])
