"""A pack becomes an entry: nothing of the file is believed before it is checked.

Sizes, names and kinds of all members are looked at first, then shards are placed one by one if
their bytes are those listed, and the manifest comes last: what it lists is there, or nothing is.
"""

from __future__ import annotations

import json
import shutil
import stat
import struct
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from featcache.datasets.checks import few, is_plain
from featcache.errors import CacheError, DamagedShardError
from featcache.files import locked, replace
from featcache.store import files, manifest
from featcache.store.cache import FeatureCache
from featcache.store.entry import Entry
from featcache.store.packing import ABOUT, FORMAT, SHAPE, listed_in
from featcache.store.placing import holds, place
from featcache.store.shape import misfit

MOST_BYTES = 1 << 28  # of pack.json and of the manifest
ANEW = "fetch or pack it anew"
SHARD = ".h5"
# What `zipfile` raises beside its own error where the bytes of an archive make no sense to it.
NONSENSE = (NotImplementedError, EOFError, ValueError, OverflowError, struct.error)


@dataclass(frozen=True)
class Unpacked:
    """The entry, the shards that were placed, and how many were there already."""

    entry: Entry
    placed: tuple[str, ...]
    held: int


@dataclass(frozen=True)
class _Pack:
    """A pack whose members are what it says of them, as far as names and sizes tell."""

    path: Path
    archive: zipfile.ZipFile
    key: str
    manifest: bytes
    shards: Mapping[str, Mapping[str, Any]]


def unpack(path: Path, cache: FeatureCache) -> Unpacked:
    """Take an entry out of the file that `pack` wrote, under the key that it had.

    It may be run again, also after it was killed, and puts back what has been lost since. Raises
    `CacheError` for a file that is no pack, that holds anything else or other bytes than it lists,
    for an entry of that key with other content, and where the disk has no room.
    """
    with _opened(path) as pack:
        folder = cache.root / pack.key
        _refuse_other(pack, folder)
        lacking = [
            name for name, record in pack.shards.items() if not _there(folder / name, record)
        ]
        _check_room(pack, cache.root, sum(pack.shards[name]["bytes"] for name in lacking))
        _place(pack, folder, lacking)
    entry = Entry(folder, manifest.load(folder))
    return Unpacked(entry, tuple(lacking), len(pack.shards) - len(lacking))


def _place(pack: _Pack, folder: Path, names: list[str]) -> None:
    """Place these shards, then the manifest; what was placed is taken away where one is wrong."""
    new, before = not (folder / manifest.FILE).exists(), folder.exists()
    placed: list[Path] = []
    try:
        for name in names:
            otherwise = f"{pack.path}: {name} is not what the pack lists; {ANEW}."
            with pack.archive.open(name) as source:
                place(source, folder / name, pack.shards[name], otherwise)
            placed.append(folder / name)
        if new:
            with locked(folder / ".lock"):
                _refuse_other(pack, folder)  # another process may have been faster
                replace(folder / manifest.FILE, pack.manifest)
    except BaseException:
        if not (folder / manifest.FILE).exists():
            _take_away(folder, placed if before else [*placed, folder / ".lock"])
        raise


def _take_away(folder: Path, placed: list[Path]) -> None:
    for file in placed:
        file.unlink(missing_ok=True)
    for empty in (folder, *list(folder.parents)[:2]):
        with suppress(OSError):  # it holds something else
            empty.rmdir()


@contextmanager
def _opened(path: Path) -> Iterator[_Pack]:
    with ExitStack() as open_files:
        try:
            archive = open_files.enter_context(zipfile.ZipFile(path))
            pack = _checked(path, archive, path.stat().st_size)
        except OSError as error:
            reason = error.strerror or str(error)
            raise CacheError(f"cannot read the pack {path} ({reason}); check the path.") from None
        except (zipfile.BadZipFile, *NONSENSE) as error:
            raise CacheError(f"{path} is no whole pack ({error}); {ANEW}.") from None
        try:
            yield pack
        except (zipfile.BadZipFile, EOFError) as error:
            raise CacheError(f"{path} is no whole pack ({error}); {ANEW}.") from None


def _checked(path: Path, archive: zipfile.ZipFile, size: int) -> _Pack:
    """The pack, if its members are those it lists and nothing of them is odd."""
    members = archive.infolist()
    for info in members:
        if why := _odd(info):
            raise CacheError(f"{path} is no pack: its member {info.orig_filename!r} {why}.")
    counts = Counter(info.filename for info in members)
    if twice := [name for name, count in counts.items() if count > 1]:
        raise CacheError(f"{path} is no pack: it holds {few(twice)} twice.")
    if sum(info.file_size for info in members) > size:
        raise CacheError(f"{path} is no pack: its members are larger than itself.")
    about = _about(path, archive, counts)
    content = archive.read(manifest.FILE)
    if len(content) != about["manifest"]["bytes"] or (
        sha256(content).hexdigest() != about["manifest"]["sha256"]
    ):
        raise CacheError(f"{path}: its manifest is not what the pack lists; {ANEW}.")
    try:
        held = manifest.parsed(content, path / manifest.FILE)
    except DamagedShardError:
        raise CacheError(f"{path}: its manifest is none that was written so; {ANEW}.") from None
    listed = {n: {k: r[k] for k in ("bytes", "sha256")} for n, r in listed_in(held).items()}
    if listed != about["shards"]:
        raise CacheError(f"{path}: {ABOUT} lists other shards than its manifest; {ANEW}.")
    parts = about["key"].split("/")
    if len(parts) != 3 or not all(map(_is_name, parts)) or parts[0] != held["dataset"]["name"]:
        raise CacheError(f"{path} is no pack of {held['dataset']['name']!r}: {about['key']!r}.")
    if odd := [n for n in listed if not (_is_name(n) and n.endswith(SHARD))]:
        raise CacheError(f"{path} is no pack: {few(odd)} are no names of shards.")
    for name, record in listed.items():
        if archive.getinfo(name).file_size != record["bytes"]:
            raise CacheError(f"{path}: {name} has another size than the pack lists; {ANEW}.")
    return _Pack(path, archive, about["key"], content, listed)


def _odd(info: zipfile.ZipInfo) -> str:
    """Why a member is none that `pack` writes, by its head alone; empty if it may be one."""
    if not _is_name(info.orig_filename) or info.filename != info.orig_filename:
        return "is no plain file name"
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
        return "is a link or no file"
    if info.flag_bits & 1:
        return "is encrypted"
    if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
        return "is compressed, which nothing in a pack is"
    if info.filename in (ABOUT, manifest.FILE) and info.file_size > MOST_BYTES:
        return "is too large for what it is"
    return ""


def _is_name(name: str) -> bool:
    return is_plain(name) and not name.startswith((".", " ")) and not set(name) & set("/\\:")


def _about(path: Path, archive: zipfile.ZipFile, members: Mapping[str, int]) -> dict[str, Any]:
    """What `pack.json` says, if it lists the other members and no more."""
    if ABOUT not in members or manifest.FILE not in members:
        raise CacheError(
            f"{path} is no pack: it lacks {ABOUT} or {manifest.FILE}; `featcache pack` writes one."
        )
    try:
        about = json.loads(archive.read(ABOUT))
    except (ValueError, RecursionError) as error:
        raise CacheError(f"{path}: {ABOUT} is not JSON ({str(error)[:80]}); {ANEW}.") from None
    if isinstance(about, dict) and about.get("format", FORMAT) != FORMAT:
        raise CacheError(
            f"{path} has format {about['format']!r}, this version reads {FORMAT}; unpack it with "
            "the version that wrote it."
        )
    if wrong := misfit(about, SHAPE):
        raise CacheError(f"{path}: {ABOUT} is not what it should be ({wrong}); {ANEW}.")
    listed = {ABOUT, manifest.FILE, *about["shards"]}
    if more := sorted(members.keys() - listed):
        raise CacheError(f"{path} holds {few(more)}, which it does not list; {ANEW}.")
    if less := sorted(listed - members.keys()):
        raise CacheError(f"{path} lacks {few(less)}, which it lists; {ANEW}.")
    found: dict[str, Any] = about
    return found


def _refuse_other(pack: _Pack, folder: Path) -> None:
    """Raise `CacheError` where an entry of that key is there that is not the pack's."""
    if not (folder / manifest.FILE).exists():
        return
    if manifest.load(folder) != manifest.parsed(pack.manifest, pack.path / manifest.FILE):
        raise CacheError(
            f"{folder} is there with other content than {pack.path} has; `featcache rm {pack.key}` "
            "first, or unpack into another folder with --cache and `featcache merge` or "
            "`featcache diff` the two."
        )


def _there(path: Path, record: Mapping[str, Any]) -> bool:
    try:
        return holds(path, record)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise CacheError(files.unreadable(path, error)) from None


def _check_room(pack: _Pack, root: Path, needed: int) -> None:
    there = next(
        folder for folder in (root.absolute(), *root.absolute().parents) if folder.exists()
    )
    free = shutil.disk_usage(there).free
    if needed > free:
        raise CacheError(
            f"{pack.path} needs {needed / 1e6:.1f} MB and {there} has {free / 1e6:.1f} MB left; "
            "make room, or name another folder with --cache."
        )
