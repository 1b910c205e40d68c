"""What every reader demands of names, paths and splits: they come from strangers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from os import DirEntry, scandir
from pathlib import Path
from typing import TypeGuard

from featcache.datasets.dataset import Dataset, Item
from featcache.errors import DatasetError

# Control characters, line separators and halves of surrogate pairs (bytes that are not UTF-8).
_ODD = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def is_plain(text: object) -> TypeGuard[str]:
    """Whether this is one non-empty line of text."""
    return isinstance(text, str) and bool(text.strip()) and not _ODD.search(text)


def slug(text: str) -> str:
    """The text as part of a file name: lower case, words joined by `-`."""
    return re.sub(r"[\W_]+", "-", text.lower()).strip("-") or "unnamed"


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


def visible(folder: Path, root: Path) -> Iterator[DirEntry[str]]:
    """Entries of a folder in name order, hidden ones left out; links out of `root` are refused."""
    try:
        with scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        raise DatasetError(f"cannot list {folder} ({error.strerror}); check the path.") from None
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if not is_plain(entry.name):
            raise DatasetError(f"{folder}: the name {entry.name!r} is not plain text; rename it.")
        if entry.is_symlink():
            _refuse_outside(Path(entry.path), root)
        yield entry


def refuse_links_out(root: Path, ids: Iterable[str]) -> None:
    """DatasetError where one of the ids is reached through a link that leads out of `root`."""
    wanted: dict[str, set[str]] = {}
    for item in ids:
        folder, _, name = item.rpartition("/")
        wanted.setdefault(folder, set()).add(name)
    for folder, names in wanted.items():
        _refuse_outside(root / folder, root)
        try:
            # One listing a folder tells the links apart; asking file by file takes far longer.
            with scandir(root / folder) as listing:
                links = [e.path for e in listing if e.name in names and e.is_symlink()]
        except OSError:
            continue  # a folder that is not there: its pictures are missing, which is told later
        for link in links:
            _refuse_outside(Path(link), root)


def checked(dataset: Dataset, where: Path) -> Dataset:
    """The same data set, or DatasetError if its splits overlap, lack a class or have no files."""
    seen: dict[str, str] = {}
    for split, items in dataset.splits.items():
        for item in items:
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
            f"{paths[0]}; check the root and that the pictures are unpacked there."
        )


def _refuse_outside(path: Path, root: Path) -> None:
    try:
        inside = path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):  # a ring of links
        inside = False
    if not inside:
        raise DatasetError(
            f"{path} is a link that leads out of {root}; put the pictures themselves there."
        )
