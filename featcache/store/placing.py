"""A shard that comes from elsewhere takes its place if its bytes are those that are listed."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from featcache.errors import DamagedShardError
from featcache.files import beside
from featcache.store import files

PORTION = 1 << 20


def place(source: IO[bytes], target: Path, record: Mapping[str, Any], otherwise: str) -> None:
    """Write what a stream gives to `target`, whose bytes are then read again and compared.

    Raises `DamagedShardError` that says `otherwise` where size or SHA-256 are not the record's;
    then nothing is there that was not before. Raises `CacheError` where the disk refuses.
    """
    with beside(target) as draft:
        with draft.open("wb") as file:
            shutil.copyfileobj(source, file, PORTION)
        if not holds(draft, record):
            raise DamagedShardError(otherwise)


def holds(path: Path, record: Mapping[str, Any]) -> bool:
    """Whether a file has the size and the SHA-256 that a record lists. Raises OSError."""
    return bool(path.stat().st_size == record["bytes"] and files.sha256(path) == record["sha256"])
