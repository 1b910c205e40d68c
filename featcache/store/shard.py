"""The file format: one immutable HDF5 shard, written so that a crash can only leave rubbish.

A shard is made in memory, written beside its name, synced, opened again and compared, renamed, and
its folder synced. Whoever calls lists it in the manifest only then. Arrays are chunked at about one
MiB with Fletcher-32 sums and no compression, as embeddings hardly compress. What is read is checked
against what the manifest lists: sums of blocks, or where there are none yet SHA-256 of the file.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featcache.errors import CacheError, DamagedShardError, MissingShardError
from featcache.files import beside, sync
from featcache.store import files
from featcache.store.sums import DIGITS, block_rows, block_sum, most_rows, starts, sums_of

# NumPy and h5py are imported where arrays are touched: listing a cache needs neither.
if TYPE_CHECKING:
    import h5py
    import numpy as np
    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[Any]]
    Room = Callable[[tuple[int, ...], np.dtype[Any]], NDArray[Any]]  # memory for what lies so

# What h5py raises where the bytes of a file make no sense to it.
NONSENSE = (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError, IndexError)


@dataclass(frozen=True)
class Written:
    """What a manifest needs to know of a shard: its bytes, their SHA-256, sums of its arrays."""

    bytes: int
    sha256: str
    sums: dict[str, str]


def write(path: Path, arrays: Arrays) -> Written:
    """Write one shard and return its size and hash; `path` holds all of it or does not exist.

    Strings are given as fixed-width bytes (`numpy.bytes_`, UTF-8), so that sums cover them too.
    Raises `CacheError` where the disk refuses (full, read-only).
    """
    with beside(path) as draft:
        draft.write_bytes(_made(arrays))
        sync(draft)
        sums = {}
        for name, array in read(draft).items():
            if not _equal(array, arrays[name]):
                raise CacheError(f"{path.name}: {name} read back differs from what was written.")
            sums[name] = sums_of(name, array)
        record = Written(draft.stat().st_size, files.sha256(draft), sums)
    return record


def read(
    path: Path,
    name: str | None = None,
    rows: Sequence[int] | NDArray[np.int64] = (),
    record: Mapping[str, Any] | None = None,
    into: Mapping[str, Room] | None = None,
) -> dict[str, NDArray[Any]]:
    """All arrays of a shard, or the one named, or only its given (ascending) rows.

    `record` is what the manifest lists of it, and what is read is checked against; `into` gives, by
    name and for a shape and type, memory of any type that takes a whole array. Raises `CacheError`
    where the file is missing or the system does not give it, `DamagedShardError` where its bytes
    are not those that were written.
    """
    sums = None if record is None else record.get("sums")
    with _opened(path, record if sums is None else None) as file:
        names = [name] if name else list(file)
        if sums is None:
            return {key: _plain(file[key], rows, (into or {}).get(key)) for key in names}
        if not name and set(names) != set(sums):
            raise KeyError("other arrays than are listed")
        return {
            key: _some(file[key], key, rows, sums[key])
            if len(rows)
            else _whole(file[key], key, sums[key], (into or {}).get(key))
            for key in names
        }


@dataclass(frozen=True)
class Place:
    """How an array lies in a file: type and shape of a row, rows a block, where blocks begin."""

    dtype: str
    shape: Sequence[int]
    rows: int
    offsets: Sequence[int]

    @cached_property
    def bytes(self) -> int:
        """How many a row has."""
        import numpy as np

        return np.dtype(self.dtype).itemsize * math.prod(self.shape)

    @property
    def told(self) -> tuple[Any, ...]:
        """It as JSON keeps it."""
        return self.dtype, self.shape, self.rows, self.offsets


def sums_in(path: Path, record: Mapping[str, Any]) -> dict[str, str]:
    """The sums of the arrays of a shard as its blocks are. Raises as `read`."""
    arrays = read(path, record=record)
    with _opened(path) as file:
        return {name: sums_of(name, x, rows_of_blocks(file[name])) for name, x in arrays.items()}


def surveyed(
    path: Path, record: Mapping[str, Any], names: Sequence[str]
) -> tuple[dict[str, NDArray[Any]], dict[str, Place]]:
    """The arrays of these names as `read` gives them, and how each lies. Raises as `read`."""
    with _opened(path) as file:
        held = {name: file[name] for name in names}
        sums = record["sums"]
        arrays = {name: _whole(each, name, sums[name], None) for name, each in held.items()}
        return arrays, {name: _place(each) for name, each in held.items()}


def rows_at(
    path: str, size: int, places: Mapping[str, Place], rows: Sequence[int]
) -> dict[str, list[bytes]]:
    """The bytes of those rows of some arrays that lie so: unchecked, whose sums the caller knows.

    Raises `CacheError` where the file is missing or the system does not give it,
    `DamagedShardError` where it is not of that size, or too short.
    """
    try:
        with FileIO(path) as file:  # a `Path` takes as long to make as a row to read
            files.check_size(path, os.fstat(file.fileno()).st_size, size)
            return {name: [*_parts(file, place, rows)] for name, place in places.items()}
    except FileNotFoundError:
        raise MissingShardError(files.missing(path)) from None
    except OSError as error:
        raise CacheError(files.unreadable(path, error)) from None


def _parts(file: FileIO, place: Place, rows: Sequence[int]) -> Iterator[bytes]:
    """The bytes of each row of an array that lies so in a file."""
    step = place.bytes
    for row in rows:
        block, inside = divmod(row, place.rows)
        file.seek(place.offsets[block] + inside * step)
        part = file.read(step)
        if len(part) != step:
            raise DamagedShardError(files.damaged(str(file.name), "it ends too early"))
        yield part


@contextmanager
def _opened(path: Path, record: Mapping[str, Any] | None = None) -> Iterator[h5py.File]:
    """A shard, whose bytes are those of the record, if it is given; errors as `read` tells them."""
    import h5py

    try:
        if record is not None and files.sha256_once(path) != record["sha256"]:
            raise DamagedShardError(files.damaged(path, "SHA-256"))
        # Locks fail on network and read-only mounts, and nobody writes to a named shard.
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except FileNotFoundError:
        raise MissingShardError(files.missing(path)) from None
    except NONSENSE as error:
        if files.of_the_system(error):
            raise CacheError(files.unreadable(path, error)) from None
        raise DamagedShardError(files.damaged(path, str(error))) from None


def strings(values: Sequence[str]) -> NDArray[np.bytes_]:
    """Text as fixed-width UTF-8, the form in which shards keep it."""
    import numpy as np

    return np.array([value.encode() for value in values] or [b""], dtype=np.bytes_)[: len(values)]


def texts(array: NDArray[np.bytes_]) -> tuple[str, ...]:
    """The other way round of `strings`."""
    return tuple(value.decode() for value in array.tolist())


def _made(arrays: Arrays) -> bytes:
    """The bytes of a shard of these arrays; equal ones give equal bytes, as no times are tracked.

    Made in memory: where a disk refuses, HDF5 itself loses arrays in silence, or the process.
    """
    import h5py

    how = {"driver": "core", "backing_store": False, "libver": "latest", "track_order": False}
    with h5py.File("shard", "w", **how) as file:
        for name, array in arrays.items():
            _put(file, name, array)
        file.flush()
        return bytes(file.id.get_file_image())


def _plain(
    held: h5py.Dataset, rows: Sequence[int] | NDArray[np.int64], place: Room | None
) -> NDArray[Any]:
    found: NDArray[Any] = held[rows if len(rows) else ()]
    if place is None:
        return found
    target = place(found.shape, found.dtype)
    target[...] = found
    return target


def _equal(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Whether two arrays are the same bytes; looked at block by block, for they may be large."""
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        return False
    size = block_rows(one.shape, one.itemsize)
    return all(
        one[start : start + size].tobytes() == other[start : start + size].tobytes()
        for start in starts(one.shape, size)
    )


class _Blocks:
    """The blocks of an array, of which none is given out unless it has the sum listed."""

    def __init__(self, held: h5py.Dataset, name: str, sums: str) -> None:
        self.held, self.name, self.sums = held, name, sums
        self.shape, self.dtype = held.shape, held.dtype
        self.rows = rows_of_blocks(held)
        self.starts = starts(self.shape, self.rows)
        # Before any memory is taken for a shape that may be nonsense.
        if len(sums) != DIGITS * len(self.starts):
            raise ValueError(f"{name} has another shape than is listed")

    def __getitem__(self, i: int) -> NDArray[Any]:
        start = self.starts[i]
        block = self._unchecked(start)
        found = block_sum(self.name, self.shape, self.dtype, start, block)
        if found != self.sums[DIGITS * i : DIGITS * (i + 1)]:
            raise ValueError(f"{self.name} has another sum than is listed, near row {start}")
        return block

    def _unchecked(self, start: int) -> NDArray[Any]:
        """The block's bytes as they lie on disk: HDF5 would add its own weaker sum and a copy."""
        import numpy as np

        if self.held.chunks is None:  # nothing in it
            return np.asarray(self.held[()])
        try:
            _, content = self.held.id.read_direct_chunk((start, *(0 for _ in self.shape[1:])))
        except MemoryError:  # a block has about a MiB, if its size is what was written
            raise ValueError(f"{self.name} lacks a block, near row {start}") from None
        chunk = (self.rows, *self.shape[1:])
        block = np.frombuffer(content, self.dtype, math.prod(chunk)).reshape(chunk)
        return block[: self.shape[0] - start]


def rows_of_blocks(held: h5py.Dataset) -> int:
    """How many rows the blocks of an array have; ValueError for more than are ever written."""
    most = most_rows(held.shape, held.dtype.itemsize)
    rows = int(held.chunks[0]) if held.chunks else most
    if not 1 <= rows <= most:
        raise ValueError(f"{held.name} has blocks of {rows} rows")
    return rows


def _whole(held: h5py.Dataset, name: str, sums: str, place: Room | None) -> NDArray[Any]:
    import numpy as np

    blocks = _Blocks(held, name, sums)
    if place is None and len(blocks.starts) == 1:
        return blocks[0].copy()  # which may be changed
    target = place(blocks.shape, blocks.dtype) if place else np.empty(blocks.shape, blocks.dtype)
    for i, start in enumerate(blocks.starts):
        target[start : start + blocks.rows] = blocks[i]
    return target


def _place(held: h5py.Dataset) -> Place:
    dtype, chunks, (count, *shape) = held.dtype.str, held.chunks, held.shape
    if chunks is None:  # nothing in it
        return Place(dtype, shape, 1, [])
    corner = [0] * len(shape)
    offsets = [
        held.id.get_chunk_info_by_coord((start, *corner)).byte_offset
        for start in range(0, count, chunks[0])
    ]
    return Place(dtype, shape, chunks[0], offsets)


def _some(
    held: h5py.Dataset, name: str, rows: Sequence[int] | NDArray[np.int64], sums: str
) -> NDArray[Any]:
    import numpy as np

    blocks, wanted = _Blocks(held, name, sums), np.asarray(rows, np.int64)
    found = np.empty((len(wanted), *blocks.shape[1:]), blocks.dtype)
    for i in np.unique(wanted // blocks.rows).tolist():
        mine = wanted // blocks.rows == i
        found[mine] = blocks[i][wanted[mine] - blocks.starts[i]]
    return found


def _put(file: h5py.File, name: str, array: NDArray[Any]) -> None:
    if array.size == 0:
        file.create_dataset(name, data=array)
        return
    chunks = (block_rows(array.shape, array.itemsize), *array.shape[1:])
    file.create_dataset(name, data=array, chunks=chunks, fletcher32=True)
