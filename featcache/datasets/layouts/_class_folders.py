"""What readers of class folders share: which folders there are, and the pictures in them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from featcache.datasets.checks import few, is_special, visible
from featcache.errors import DatasetError
from featcache.pictures.formats import suffixes


@dataclass
class Walk:
    """How folders are walked, and what was passed over: paths of what was left out, by kind.

    `recursive` takes pictures in folders inside class folders, `follow_links` links that lead out.
    """

    recursive: bool = False
    follow_links: bool = False
    other: dict[str, str] = field(default_factory=dict)  # path of a file: its ending
    loose: set[str] = field(default_factory=set)  # pictures beside class folders
    nested: dict[str, int] = field(default_factory=dict)  # path of a folder: pictures below it
    special: set[str] = field(default_factory=set)
    beside: set[str] = field(default_factory=set)  # folders that are no split

    def note(self, root: Path) -> str:
        """What was passed over, in one sentence; empty where nothing was."""
        told = []
        if self.other:
            counts = Counter(self.other.values())
            kinds = sorted(counts, key=lambda end: (-counts[end], not end, end))
            ends = ", ".join(f"{counts[end]} {end or 'without ending'}" for end in kinds[:5])
            ends += " and others" if len(kinds) > 5 else ""
            told.append(f"{len(self.other)} files that are no pictures by their ending ({ends})")
        if self.loose:
            names = few(sorted(_below(path, root) for path in self.loose))
            told.append(f"{len(self.loose)} pictures outside class folders ({names})")
        if self.nested:
            names = few(sorted(_below(path, root) for path in self.nested))
            count = sum(self.nested.values())
            told.append(f"{count} pictures in inner folders ({names}; --recursive takes them)")
        if self.special:
            names = few(sorted(_below(path, root) for path in self.special))
            told.append(f"{len(self.special)} that are no files but pipes or devices ({names})")
        if self.beside:
            told.append(f"folders that are no split ({few(sorted(self.beside))})")
        return f"{root}: passed over {'; '.join(told)}." if told else ""


def class_folders(folder: Path, root: Path, walk: Walk | None = None) -> list[str]:
    """Names of the folders in a folder, sorted; DatasetError if there is none."""
    walk = walk or Walk()
    names, loose = [], set()
    for entry in visible(folder, root, walk.follow_links):
        if entry.is_dir():
            names.append(entry.name)
        elif entry.name.lower().endswith(suffixes()):
            loose.add(entry.path)
        else:
            walk.other[entry.path] = _ending(entry.name)
    if not names:
        has = f"{len(loose)} pictures and " if loose else ""
        raise DatasetError(
            f"{folder} holds {has}no class folders; put each class into its own folder."
        )
    walk.loose |= loose
    return names


def inner_folders(folder: Path, root: Path, walk: Walk) -> list[str]:
    """Names of the folders in a folder, sorted; there may be none."""
    return [entry.name for entry in visible(folder, root, walk.follow_links) if entry.is_dir()]


def pictures_in(folder: Path, root: Path, walk: Walk | None = None) -> list[str]:
    """The picture files in a class folder, as paths below it; DatasetError if there is none."""
    walk = walk or Walk()
    names = list(_pictures(folder, root, walk, "", (root.resolve(), folder.resolve())))
    if not names:
        inner = inner_folders(folder, root, walk)
        way = (
            f"take those in its folders {few(inner)} with --recursive, or as classes of a domain "
            "with --layout domains, "
            if inner
            else ""
        )
        raise DatasetError(
            f"the class folder {folder} holds no pictures ({', '.join(suffixes())}); "
            f"{way}add some or remove it."
        )
    return names


def _pictures(
    folder: Path, root: Path, walk: Walk, prefix: str, above: tuple[Path, ...]
) -> Iterator[str]:
    for entry in visible(folder, root, walk.follow_links):
        path = Path(entry.path)
        if entry.is_dir() and walk.recursive:
            real = path.resolve()
            if real in above:
                raise DatasetError(f"{path} is a link to a folder that holds it; remove the link.")
            yield from _pictures(path, root, walk, f"{prefix}{entry.name}/", (*above, real))
        elif entry.is_dir():
            walk.nested[entry.path] = _count_below(path)
        elif not entry.name.lower().endswith(suffixes()):
            walk.other[entry.path] = _ending(entry.name)
        elif not entry.is_file() and is_special(path):
            walk.special.add(entry.path)
        else:
            yield prefix + entry.name


def _count_below(folder: Path) -> int:
    """Pictures below a folder; links in it are not followed, so that it ends."""
    found = (files for _, _, files in os.walk(folder))
    return sum(name.lower().endswith(suffixes()) for files in found for name in files)


def _ending(name: str) -> str:
    return Path(name).suffix.lower()


def _below(path: str, root: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix()
