"""What exists of an entry: its manifest, read, begun, and amended by one writer at a time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from featcache.errors import CacheError, DamagedShardError
from featcache.files import locked, replace
from featcache.store import files
from featcache.store.shape import misshapen

FORMAT, WITHOUT_CHECKSUM = 2, 1
FILE = "manifest.json"
CHECKSUM = "checksum"


def load(folder: Path) -> dict[str, Any]:
    """The manifest of an entry's folder, checked against its own checksum.

    One of format 1 has none and is believed as it is. Raises `DamagedShardError` for content that
    is not what was written, `CacheError` for a file that cannot be read or has another format.
    """
    path = folder / FILE
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CacheError(files.unreadable(path, error)) from None
    return parsed(content, path)


def parsed(content: bytes, path: Path) -> dict[str, Any]:
    """What the bytes of a manifest say that lies at `path`. Raises what `load` raises."""
    try:
        manifest = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from None
    if not isinstance(manifest, dict):
        raise _damaged(path, "its top level is no object")
    number, listed = manifest.get("format"), manifest.pop(CHECKSUM, None)
    if number not in (FORMAT, WITHOUT_CHECKSUM) or not isinstance(number, int):
        raise CacheError(
            f"{path} has format {number}, this version reads {WITHOUT_CHECKSUM} and {FORMAT}; "
            "encode again with this version, or use the one that wrote it."
        )
    if number == FORMAT and listed != checksum(manifest):
        raise _damaged(path, "its content is not that of its checksum")
    if wrong := misshapen(manifest):
        raise _damaged(path, wrong)
    return manifest


def checksum(content: Mapping[str, Any]) -> str:
    """SHA-256 of what a manifest says, however it is laid out, without the checksum itself."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _damaged(path: Path, why: str) -> DamagedShardError:
    key = "/".join(path.parts[-4:-1])
    return DamagedShardError(
        f"{path} is damaged ({why[:120]}); put a copy of it back, or remove the entry with "
        f"`featcache rm {key}` and encode again."
    )


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
    Raises `CacheError` where the disk refuses.
    """
    with locked(folder / ".lock"):
        manifest = load_or(folder, begun)
        yield manifest
        manifest["shards"] = dict(sorted(manifest["shards"].items()))
        manifest["format"] = FORMAT
        manifest.pop(CHECKSUM, None)
        text = laid_out({**manifest, CHECKSUM: checksum(manifest)})
        replace(folder / FILE, text.encode())


def laid_out(content: Mapping[str, Any]) -> str:
    """JSON with a line for each member, and for each member of those that have some: each shard."""
    # By `indent` it would be made in Python and not in C, which takes five times as long.
    encode = json.JSONEncoder(ensure_ascii=False).encode
    lines = []
    for name, value in content.items():
        if isinstance(value, dict) and value:
            members = (encode({key: each})[1:-1] for key, each in value.items())
            inside = "{\n  " + ",\n  ".join(members) + "\n }"
        else:
            inside = encode(value)
        lines.append(f" {encode(name)}: {inside}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def listed(
    manifest: Mapping[str, Any], kind: str, split: str, view_set: str | None = None
) -> dict[str, dict[str, Any]]:
    """The records of the shards of a kind and split, and of a view set, in the order of rows."""
    # Where there are 10,000 shards this is what opening them takes.
    found = [
        (record.get("start", 0), name)
        for name, record in manifest["shards"].items()
        if record["kind"] == kind and record.get("split") == split and record.get("set") == view_set
    ]
    return {name: manifest["shards"][name] for _, name in sorted(found)}
