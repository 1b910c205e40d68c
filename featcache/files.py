"""Files that are replaced in one step, so that readers never see half of one; and locks."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from featcache.errors import CacheError

CANNOT = (errno.EINVAL, errno.ENOTSUP)  # of folders on some shared disks


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to; it becomes `path` when the block ends without an error.

    It ends as `path` does, for some writers go by that. Folders on the way are made. Raises
    `CacheError` where the disk refuses (full, read-only); what was at `path` stays as it was.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield draft
        sync(draft)
        draft.replace(path)
        sync(path.parent)
    except OSError as error:
        raise CacheError(
            f"cannot write {path}: {error.strerror or str(error).splitlines()[0]}; "
            "nothing was lost that had been written before."
        ) from error
    finally:
        with suppress(OSError):  # the folder cannot be reached, and the first error says more
            draft.unlink(missing_ok=True)


def replace(path: Path, content: bytes | str) -> None:
    """Put bytes, or text as UTF-8, at `path` in one step. Raises what `beside` raises."""
    with beside(path) as draft:
        draft.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock that a file stands for, which is waited for; folders on the way are made.

    Raises `CacheError` where the disk refuses.
    """
    from filelock import FileLock

    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise CacheError(
            f"cannot lock {path}: {error.strerror or error}; see to the disk and the permissions, "
            "and run this again."
        ) from error
    try:
        yield
    finally:
        lock.release()


def sync(path: Path) -> None:
    """Wait until a file or folder is on the disk; a folder where the system knows how to."""
    folder = path.is_dir()
    if folder and os.name == "nt":
        return
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if not folder or error.errno not in CANNOT:
            raise
    finally:
        os.close(handle)
