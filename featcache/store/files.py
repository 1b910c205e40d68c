"""What is said and known of the files of a cache: their hashes, and what is wrong with them."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from functools import cache
from pathlib import Path

from featcache.errors import DamagedShardError

ANEW = "run the same `featcache encode` or `import` again, it writes it anew."


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


def of_the_system(error: Exception) -> bool:
    """Whether the system refused to give a file, rather than HDF5 to make sense of its bytes."""
    return _number(error) not in (0, errno.EINVAL)


def _number(error: Exception) -> int:
    """The system's number of an error, which HDF5 says in words only; 0 where there is none."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    told = re.search(r"errno = (\d+)", str(error))
    return int(told[1]) if told else 0


def check_size(path: Path | str, found: int, listed: int) -> None:
    """Raise `DamagedShardError` where a file has other bytes than the manifest lists."""
    if found != listed:
        told = f"{found} bytes where the manifest lists {listed}"
        raise DamagedShardError(damaged(path, told))


def damaged(path: Path | str, why: str) -> str:
    """A sentence for a file whose bytes are not those that were written."""
    return f"{path} is damaged ({(why.splitlines() or ['?'])[0][:120]}); {ANEW}"


def missing(path: Path | str) -> str:
    """A sentence for a file that is listed and not there."""
    return f"{path} is listed in the manifest but missing; {ANEW}"


def unreadable(path: Path | str, error: Exception) -> str:
    """A sentence for a file that the system does not give; nothing says that it is damaged."""
    number = _number(error)
    reason = os.strerror(number) if number else (str(error).splitlines() or ["?"])[0][:120]
    return (
        f"{path} cannot be read now ({reason}); see to the disk, the mount or the process that "
        "holds it, and run this again."
    )
