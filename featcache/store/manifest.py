"""What exists of an entry: its manifest, read, begun, and amended by one writer at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from featcache.errors import CacheError, DamagedShardError
from featcache.store import files

FORMAT = 1
FILE = "manifest.json"


def load(folder: Path) -> dict[str, Any]:
    """The manifest of an entry's folder.

    Raises `DamagedShardError` for a file that cannot be read, `CacheError` for another format.
    """
    path = folder / FILE
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DamagedShardError(
            f"{path} cannot be read ({error}); delete its folder and encode again."
        ) from None
    if manifest.get("format") != FORMAT:
        raise CacheError(
            f"{path} has format {manifest.get('format')}, this version reads {FORMAT}; "
            "encode again with this version, or use the one that wrote it."
        )
    return manifest


def load_or(folder: Path, other: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest of a folder, or a copy of `other` where there is none yet."""
    # JSON makes of `other` what will be read back: lists of tuples, and nothing shared.
    return load(folder) if (folder / FILE).is_file() else dict(json.loads(json.dumps(other)))


def begin(header: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest of an entry that has no shards yet and carries `header`."""
    empty = {"format": FORMAT, "asked": [], "shards": {}, "view_sets": {}, "texts": {}}
    return {**empty, **header}


@contextmanager
def amend(folder: Path, begun: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The newest manifest of a folder, to be changed; it is replaced in one step at the end.

    `begun` is taken where there is none yet. A lock beside it keeps writers of the same entry, on
    this or another machine, from losing each other's lines. An error in the block changes nothing.
    """
    from filelock import FileLock

    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        manifest = load_or(folder, begun)
        yield manifest
        manifest["shards"] = dict(sorted(manifest["shards"].items()))
        text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
        files.replace(folder / FILE, text.encode())


def listed(
    manifest: Mapping[str, Any], kind: str, split: str, view_set: str | None = None
) -> dict[str, dict[str, Any]]:
    """The records of the shards of a kind and split, and of a view set, in the order of names."""
    wanted = (kind, split, view_set)
    return {
        name: record
        for name, record in sorted(manifest["shards"].items())
        if (record["kind"], record.get("split"), record.get("set")) == wanted
    }
