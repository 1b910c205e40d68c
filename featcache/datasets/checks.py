"""What every reader demands of names, paths and splits: they come from strangers."""

from __future__ import annotations

import errno
import re
import unicodedata
from collections.abc import Iterable, Iterator
from os import DirEntry, scandir
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import TypeGuard

from featcache.datasets.dataset import Dataset, Item
from featcache.errors import DatasetError

# Control characters, line separators and halves of surrogate pairs (bytes that are not UTF-8).
_ODD = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# What Windows takes in no name, at the end of none, and for devices: a cache may go there.
_NOT_ON_WINDOWS = re.compile(r'[<>"|?*]|\.$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)', re.IGNORECASE)
LONGEST_NAME = 100  # bytes; every file system takes so many


def is_plain(text: object) -> TypeGuard[str]:
    """Whether this is one non-empty line of text."""
    return isinstance(text, str) and bool(text.strip()) and not _ODD.search(text)


def slug(text: str) -> str:
    """The text as part of a file name: lower case, words joined by `-`."""
    return re.sub(r"[\W_]+", "-", text.lower()).strip("-") or "unnamed"


def no_name(name: str) -> str:
    """Why this cannot be a data set's name, which is a folder of the cache; empty if it can."""
    fits = re.fullmatch(r"[^\s./\\:][^/\\:]*", name) and is_plain(name) and name == name.strip()
    if fits and not _NOT_ON_WINDOWS.search(name) and len(name.encode()) <= LONGEST_NAME:
        return ""
    return (
        f"{name!r} cannot be a data set's name; give letters, digits, - and _, at most "
        f"{LONGEST_NAME} of them, as it becomes a folder of the cache."
    )


def few(names: list[str]) -> str:
    """The first five names, quoted, and how many more there are."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(repr(name) for name in names[:5]) + more


def safe_id(text: object, where: str) -> str:
    """A relative path with `/` as item id; DatasetError for one that could lead elsewhere."""
    if not is_plain(text):
        raise DatasetError(f"{where}: the path {text!r} is not plain text; write it out.")
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if not parts or text[0] == "/" or ".." in parts or text[1:2] == ":":
        raise DatasetError(
            f"{where}: the path {text!r} does not stay in the image folder; "
            "write it relative to that folder, without '..'."
        )
    if "\\" in text:
        raise DatasetError(f"{where}: the path {text!r} has a backslash; part folders by '/'.")
    return "/".join(parts)


def exists(path: Path) -> bool:
    """Whether something is there; a path that the system does not take is not there either."""
    try:
        path.stat()
    except OSError:
        return False
    return True


def nfc(name: str) -> str:
    """The name with composed letters: file systems and archives spell `é` in one sign or two."""
    return unicodedata.normalize("NFC", name)


def as_spelt(root: Path, path: str) -> str:
    """The path as it is spelt below `root`, composed or not; as it was given where it is not."""
    if path.isascii():
        return path
    parts: list[str] = []
    for part in path.split("/"):
        forms = (part, nfc(part), unicodedata.normalize("NFD", part))
        there = (form for form in forms if exists(root.joinpath(*parts, form)))
        parts.append(next(there, part))
    return "/".join(parts)


def is_special(path: Path) -> bool:
    """Whether it is there and neither file nor folder: a pipe, socket or device may never end."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (S_ISREG(mode) or S_ISDIR(mode))


def read_text(path: Path) -> str:
    """The text of a file, UTF-8 with or without a mark; OSError or ValueError where it has none."""
    if is_special(path):
        raise OSError(errno.EINVAL, "it is a pipe, socket or device", str(path))
    return path.read_text(encoding="utf-8-sig")


def visible(folder: Path, root: Path, follow_links: bool = False) -> Iterator[DirEntry[str]]:
    """Entries of a folder in the order of their composed names, hidden ones left out.

    Links that lead out of `root` are refused, unless they are to be followed.
    """
    try:
        with scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: (nfc(entry.name), entry.name))
    except OSError as error:
        raise DatasetError(f"cannot list {folder} ({error.strerror}); check the path.") from None
    before = ""
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if not is_plain(entry.name):
            raise DatasetError(f"{folder}: the name {entry.name!r} is not plain text; rename it.")
        if nfc(entry.name) == before:
            raise DatasetError(f"{folder} has two names that both read {before!r}; rename one.")
        before = nfc(entry.name)
        if entry.is_symlink():
            _refuse_ring(entry) if follow_links else _refuse_outside(Path(entry.path), root)
        yield entry


def refuse_odd_files(root: Path, paths: Iterable[str], follow_links: bool = False) -> None:
    """DatasetError where one of the paths below `root` is a pipe, socket or device.

    And, unless links are to be followed, where a link on the way leads out of `root`.
    """
    wanted: dict[str, set[str]] = {}
    for path in paths:
        folder, _, name = path.rpartition("/")
        wanted.setdefault(folder, set()).add(name)
    for folder, names in wanted.items():
        if not follow_links:
            _refuse_outside(root / folder, root)
        try:
            # One listing a folder tells what is odd; asking file by file takes far longer.
            with scandir(root / folder) as listing:
                odd = [Path(e.path) for e in listing if e.name in names and not _is_plain_file(e)]
        except OSError:
            continue  # a folder that is not there: its pictures are missing, which is told later
        for file in odd:
            if not follow_links:
                _refuse_outside(file, root)
            if is_special(file):
                raise DatasetError(f"{file} is a pipe, socket or device; put a picture there.")


def checked(dataset: Dataset, where: Path) -> Dataset:
    """The same data set, or DatasetError if its splits overlap, lack a class or have no files.

    Nothing is trained on one split of problems and tested on another, so these may overlap.
    """
    seen: dict[str, str] = {}
    for split, items in dataset.splits.items():
        for item in () if dataset.problems else items:
            # Twice in one split is odd but harmless; in two splits it lets training see the test.
            if seen.setdefault(item.id, split) != split:
                both = f"{seen[item.id]} and {split}"
                raise DatasetError(f"{where}: {item.id} is listed twice, in {both}; keep it once.")
        _refuse_no_files(split, items, where)
    if "train" in dataset.splits:
        trained = {item.label for item in dataset.splits["train"]}
        without = [c for label, c in enumerate(dataset.classnames) if label not in trained]
        if without:
            raise DatasetError(
                f"{where}: no training pictures of {few(without)}; add some or drop the class."
            )
    return dataset


def _refuse_no_files(split: str, items: tuple[Item, ...], where: Path) -> None:
    # One missing picture is a bad row for the encoder to tell; a split without any is a wrong root.
    paths = [item.source for item in items if isinstance(item.source, Path)]
    if paths and not any(exists(path) for path in paths):
        raise DatasetError(
            f"{where}: none of the {len(paths):,} {split} pictures exists, the first would be "
            f"{paths[0]}; check the root and that the pictures are unpacked there, or let "
            "`featcache doctor` look for them."
        )


def _is_plain_file(entry: DirEntry[str]) -> bool:
    return entry.is_file(follow_symlinks=False)


def _refuse_ring(entry: DirEntry[str]) -> None:
    try:
        entry.stat()
    except FileNotFoundError:
        return  # told when it is read
    except OSError as error:
        raise DatasetError(
            f"{entry.path} is a link that leads nowhere ({error.strerror}); remove it."
        ) from None


def _refuse_outside(path: Path, root: Path) -> None:
    try:
        inside = path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):  # a ring of links
        inside = False
    if not inside:
        raise DatasetError(
            f"{path} is a link that leads out of {root}; put the pictures themselves there, or "
            "take them from where they are with --follow-links."
        )
