"""The file format: one immutable HDF5 shard, written so that a crash can only leave rubbish.

A shard is written beside its name, closed, synced, opened again and compared, renamed, and its
folder synced. Whoever calls lists it in the manifest only then. Arrays are chunked at about one
MiB with Fletcher-32 sums and no compression: embeddings hardly compress, and a flipped bit in a
plain dataset would be read back without a word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featcache.errors import CacheError, DamagedShardError
from featcache.store import files

# NumPy and h5py are imported where arrays are touched: listing a cache needs neither.
if TYPE_CHECKING:
    import h5py
    import numpy as np
    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[Any]]

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Written:
    """What a manifest needs to know of a shard: its bytes and their SHA-256."""

    bytes: int
    sha256: str


def write(path: Path, arrays: Arrays) -> Written:
    """Write one shard and return its size and hash; `path` holds all of it or does not exist.

    Strings are given as fixed-width bytes (`numpy.bytes_`, UTF-8), so that sums cover them too.
    Raises `CacheError` where the disk refuses (full, read-only).
    """
    import h5py

    with files.beside(path) as draft:
        # The file is written on open, so equal content gives equal bytes: no times are tracked.
        with h5py.File(draft, "w", libver="latest", track_order=False) as file:
            for name, array in arrays.items():
                _put(file, name, array)
        files.sync(draft)
        for name, array in read(draft).items():
            if array.dtype != arrays[name].dtype or array.tobytes() != arrays[name].tobytes():
                raise CacheError(f"{path.name}: {name} read back differs from what was written.")
        record = Written(draft.stat().st_size, files.sha256(draft))
    return record


def read(path: Path, name: str | None = None, rows: Any = ()) -> dict[str, NDArray[Any]]:
    """All arrays of a shard, or the one named, or only its given (ascending) rows.

    Raises `CacheError` where the file is missing, `DamagedShardError` where its bytes are not
    those that were written.
    """
    import h5py

    try:
        # Locks fail on network and read-only mounts, and nobody writes to a named shard.
        with h5py.File(path, "r", locking=False) as file:
            return {key: file[key][rows] for key in ([name] if name else file)}
    except FileNotFoundError:
        raise CacheError(
            f"{path} is listed in the manifest but missing; encode again to write it anew."
        ) from None
    except (OSError, KeyError, RuntimeError) as error:
        raise DamagedShardError(
            f"{path} is damaged ({str(error).splitlines()[0][:120]}); "
            "delete it and encode again to write it anew."
        ) from None


def strings(values: Sequence[str]) -> NDArray[np.bytes_]:
    """Text as fixed-width UTF-8, the form in which shards keep it."""
    import numpy as np

    return np.array([value.encode() for value in values] or [b""], dtype=np.bytes_)[: len(values)]


def texts(array: NDArray[np.bytes_]) -> tuple[str, ...]:
    """The other way round of `strings`."""
    return tuple(value.decode() for value in array.tolist())


def _put(file: h5py.File, name: str, array: NDArray[Any]) -> None:
    if array.size == 0:
        file.create_dataset(name, data=array)
        return
    row = max(1, array[:1].nbytes)
    chunks = (max(1, min(len(array), CHUNK_BYTES // row)), *array.shape[1:])
    file.create_dataset(name, data=array, chunks=chunks, fletcher32=True)
