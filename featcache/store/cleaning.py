"""Entries removed, and what crashes left: drafts of the dead, files that no manifest lists."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from featcache.errors import CacheError
from featcache.store import manifest, towers
from featcache.store.cache import FeatureCache

DRAFT = re.compile(r"\..+\.(\d+)\.tmp(\.\w+)?")  # see `featcache.files.beside`
KINDS = re.compile(r"(images|pictures|views|text|pre-projection|patches|projection)\b.*\.h5")
IDENTITY = re.compile(r"[0-9a-f]{12}")


def folder_of(cache: FeatureCache, key: str) -> Path:
    """The folder of a key, also of one whose manifest is damaged, if all of the key is given.

    Raises what `FeatureCache.get` raises.
    """
    return cache.root / key if key in cache.look()[1] else cache.get(key).folder


def size_of(folder: Path) -> int:
    """Bytes of the files of a folder."""
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())


def remove(folder: Path) -> None:
    """Remove an entry: its manifest first, so that half of it is never taken for an entry.

    Raises `CacheError` where a process is writing it or the disk refuses.
    """
    from filelock import FileLock, Timeout

    busy = f"{folder} is being written by another process; wait or stop it, and run this again."
    if any(_writer_lives(path) for path in folder.iterdir()):
        raise CacheError(busy)
    try:
        with FileLock(folder / ".lock", timeout=0):
            (folder / manifest.FILE).unlink()
        shutil.rmtree(folder)
        for parent in list(folder.parents)[:2]:
            if any(parent.iterdir()):
                break
            parent.rmdir()
    except Timeout:
        raise CacheError(busy) from None
    except OSError as error:
        raise CacheError(
            f"cannot remove {folder} ({error.strerror or error}); see to its permissions and run "
            "this again."
        ) from None


def rubbish(cache: FeatureCache, seconds: float) -> list[Path]:
    """What crashes left that is older than so many seconds, in the order of paths.

    A shard is listed some time after it was written, and a process may live on another machine:
    what is young may yet be needed. Drafts of live processes of this one, folders whose manifest
    cannot be read, and files of other names are left alone.
    """
    before = time.time() - seconds
    found = []
    for folder in cache.folders():
        found += [path for path in _unlisted(folder) if path.stat().st_mtime <= before]
    found += [path for path in _unspoken(cache) if path.stat().st_mtime <= before]
    return found


def _unspoken(cache: FeatureCache) -> Iterator[Path]:
    """Drafts of text towers, and towers that were not finished or that no entry is of any more."""
    entries, broken = cache.look()
    spoken = {towers.folder_of(cache.root, entry.spoken_by) for entry in entries}
    for folder in sorted((cache.root / towers.FOLDER).glob("*")):
        files = sorted(path for path in folder.glob("*") if path.is_file())
        lives = any(_writer_lives(path) for path in files)
        for path in files:
            if DRAFT.fullmatch(path.name):
                left = not _writer_lives(path)
            else:
                ours = path.name in (towers.ABOUT, towers.WEIGHTS, towers.MERGES)
                begun = not (folder / towers.ABOUT).is_file()
                left = ours and not lives and not broken and (begun or folder not in spoken)
            if left:
                yield path


def _unlisted(folder: Path) -> Iterator[Path]:
    has_manifest = (folder / manifest.FILE).is_file()
    try:
        found = manifest.load(folder) if has_manifest else {"shards": {}}
        listed = {**found["shards"], **found.get("older", {})}
    except CacheError:
        return
    for path in sorted(folder.iterdir()):
        if DRAFT.fullmatch(path.name):
            left = not _writer_lives(path)
        elif has_manifest:
            left = path.suffix == ".h5" and path.name not in listed
        else:  # nothing but names says that it is ours
            left = bool(IDENTITY.fullmatch(folder.name) and KINDS.fullmatch(path.name))
        if left and path.is_file():
            yield path


def _writer_lives(path: Path) -> bool:
    """Whether it is the draft of a process that lives on this machine."""
    draft = DRAFT.fullmatch(path.name)
    if draft is None:
        return False
    if os.name == "nt":  # there the question would end the process
        return True
    try:
        os.kill(int(draft[1]), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
