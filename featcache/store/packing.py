"""An entry as one file, so that a group encodes once for all: a zip that stores and packs nothing.

`pack.json` comes first and says what the rest is: the key, where the numbers come from, and size
and SHA-256 of the manifest and of each shard, which follow as they lie in the cache. It holds no
times, so that the same entry gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featcache.errors import CacheError, DamagedShardError
from featcache.files import beside
from featcache.store import files, manifest
from featcache.store.entry import Entry
from featcache.store.placing import PORTION
from featcache.store.rows import path_of
from featcache.store.sameness import data_id

FORMAT = 1
ABOUT = "pack.json"
ENDING = ".zip"
BEGINNING = (1980, 1, 1, 0, 0, 0)  # of time, as archives count it
UNIX, PLAIN_FILE = 3, 0o100644

SIZED = {"bytes": int, "sha256": str}
SHAPE = {
    "format": int,
    "key": str,
    "manifest": SIZED,
    "shards": {str: SIZED},
    "provenance": dict,
}


@dataclass(frozen=True)
class Packed:
    """The file that was written, its bytes and their SHA-256, and how many shards are in it."""

    path: Path
    bytes: int
    sha256: str
    shards: int


def pack(entry: Entry, out: Path) -> Packed:
    """Write an entry to one file; to one called after it where `out` is a folder.

    Every shard is checked on the way. Raises `DamagedShardError` or `MissingShardError` where one
    is not what was written, `CacheError` where the disk refuses; then no file is left.
    """
    path = out / called(entry) if out.is_dir() else out
    try:
        content = (entry.folder / manifest.FILE).read_bytes()
    except OSError as error:
        raise CacheError(files.unreadable(entry.folder / manifest.FILE, error)) from None
    held = Entry(entry.folder, manifest.parsed(content, entry.folder / manifest.FILE))
    listed = listed_in(held.manifest)
    about = json.dumps(_about(held, content, listed), indent=1, ensure_ascii=False) + "\n"
    with beside(path) as draft, zipfile.ZipFile(draft, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_member(ABOUT), about)
        archive.writestr(_member(manifest.FILE), content)
        for name, record in listed.items():
            _add(archive, path_of(held.folder, name, record), record)
    return Packed(path, path.stat().st_size, files.sha256(path), len(listed))


def called(entry: Entry) -> str:
    """The name of an entry's pack: its key in one piece."""
    return "-".join(entry.folder.parts[-3:]) + ENDING


def listed_in(content: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The shards that a manifest lists, those that are about to give way among them, by name."""
    return dict(sorted({**content.get("older", {}), **content["shards"]}.items()))


def _about(entry: Entry, content: bytes, listed: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    backbone = entry.manifest["backbone"]
    told = ("fingerprint", "weights", "activation", "precision", "preprocess", "logit_scale")
    return {
        "format": FORMAT,
        "key": entry.key,
        "provenance": {
            "dataset": entry.dataset,
            "data": data_id(entry),
            "classes": len(entry.classnames),
            "splits": entry.splits,
            "backbone": entry.backbone,
            **{name: backbone[name] for name in told if name in backbone},
            "prompts": [*entry.banks, *entry.negative_banks],
            "extras": list(entry.extras),
            "source": entry.manifest.get("source", ""),
            "versions": entry.manifest.get("versions", {}),
            "complete": entry.complete,
            **(
                {"reduced": entry.manifest["reduced"], "draws": [*entry.draws]}
                if entry.draws
                else {}
            ),
        },
        "manifest": {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()},
        "shards": {n: {key: record[key] for key in SIZED} for n, record in listed.items()},
    }


def _member(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, BEGINNING)
    info.create_system, info.external_attr = UNIX, PLAIN_FILE << 16
    return info


def _add(archive: zipfile.ZipFile, path: Path, record: Mapping[str, Any]) -> None:
    info, digest = _member(path.name), hashlib.sha256()
    info.file_size = record["bytes"]  # says whether its head has room for large numbers
    with path.open("rb") as source, archive.open(info, "w") as target:
        while portion := source.read(PORTION):
            digest.update(portion)
            target.write(portion)
    if digest.hexdigest() != record["sha256"]:
        raise DamagedShardError(files.damaged(path, "SHA-256"))
