"""Files that are replaced in one step: readers see the old one or the new one, never half."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from featcache.errors import CacheError

ANEW = "run the same `featcache encode` or `import` again, it writes it anew."


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to; it becomes `path` when the block ends without an error.

    The block syncs what it wrote. Raises `CacheError` where the disk refuses (full, read-only).
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield draft
        draft.replace(path)
        sync(path.parent)
    except OSError as error:
        raise CacheError(
            f"cannot write {path}: {error.strerror or str(error).splitlines()[0]}; "
            "nothing was lost that had been written before."
        ) from error
    finally:
        draft.unlink(missing_ok=True)


def replace(path: Path, content: bytes) -> None:
    """Put `content` at `path` in one step. Raises what `beside` raises."""
    with beside(path) as draft:
        draft.write_bytes(content)
        sync(draft)


def sync(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_once(path: Path) -> str:
    """The same, of a file that has not changed since this process asked for the first time."""
    state = path.stat()
    return _sha256_of(path, state.st_ino, state.st_size, state.st_mtime_ns)


@cache
def _sha256_of(path: Path, *state: int) -> str:
    return sha256(path)


def of_the_system(error: OSError) -> bool:
    """Whether the system refused to give a file, rather than HDF5 to make sense of its bytes."""
    told = re.search(r"errno = (\d+)", str(error))  # HDF5 says it in words
    number = error.errno or (int(told[1]) if told else 0)
    return number not in (0, errno.EINVAL)


def damaged(path: Path, why: str) -> str:
    """A sentence for a file whose bytes are not those that were written."""
    return f"{path} is damaged ({(why.splitlines() or ['?'])[0][:120]}); {ANEW}"


def missing(path: Path) -> str:
    """A sentence for a file that is listed and not there."""
    return f"{path} is listed in the manifest but missing; {ANEW}"


def unreadable(path: Path, error: OSError) -> str:
    """A sentence for a file that the system does not give; nothing says that it is damaged."""
    reason = error.strerror or str(error).splitlines()[0][:120]
    return (
        f"{path} cannot be read now ({reason}); see to the disk, the mount or the process that "
        "holds it, and run this again."
    )
