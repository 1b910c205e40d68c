"""Files below a folder, and where those that are not in their place lie instead."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from featcache.datasets.checks import nfc

Pair = tuple[str, str]  # where a file should be, and where it is


@dataclass
class Search:
    """Where wanted files are: paths below one folder, with `/`.

    `moved` has, by the folder that they lie below whole, those whose paths are right from there
    on; `cased` differ in upper and lower case alone, `astray` have their name in another folder;
    `gone` are nowhere.
    """

    moved: dict[str, list[Pair]] = field(default_factory=dict)
    cased: list[Pair] = field(default_factory=list)
    astray: list[Pair] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)

    @property
    def found(self) -> set[str]:
        """The paths where some of them are."""
        pairs = [*self.cased, *self.astray, *(p for held in self.moved.values() for p in held)]
        return {path for _, path in pairs}


def files_below(folder: Path) -> dict[str, Path]:
    """Files below a folder by their paths there in composed letters, hidden ones left out.

    Links are followed, each folder once, so that it ends. What cannot be listed has no files.
    """
    found: dict[str, Path] = {}
    seen: set[tuple[int, int]] = set()
    left = [(folder, "")]
    while left:
        here, prefix = left.pop()
        try:
            state = here.stat()
            if (state.st_dev, state.st_ino) in seen:
                continue
            seen.add((state.st_dev, state.st_ino))
            with os.scandir(here) as listing:
                entries = [entry for entry in listing if not entry.name.startswith(".")]
        except OSError:
            continue
        for entry in entries:
            path = f"{prefix}{nfc(entry.name)}"
            try:
                if entry.is_dir():
                    left.append((Path(entry.path), f"{path}/"))
                elif entry.is_file():
                    found[path] = Path(entry.path)
            except OSError:
                continue
    return found


def search(wanted: Sequence[str], images: str, candidates: Iterable[str]) -> Search:
    """Where the wanted files are among the candidates; `images` is the folder they start from."""
    start = "" if images == "." else f"{images}/"
    named = _by_name(candidates)
    found, left = Search(), []
    for path in wanted:
        near = named.get(_name(path), [])
        inner = path.removeprefix(start)
        whole = next((p for p in near if f"/{p}".endswith(f"/{inner}")), None)
        cased = next((p for p in near if p.casefold() == path.casefold()), None)
        if cased:
            found.cased.append((path, cased))
        elif whole is not None:
            below = whole[: -len(inner)].rstrip("/") or "."
            found.moved.setdefault(below, []).append((path, whole))
        else:
            left.append(path)
    claimed, asked = found.found, _by_name(left)
    for path in left:
        free = [p for p in named.get(_name(path), []) if p not in claimed]
        if len(free) == len(asked[_name(path)]) == 1:  # of several nothing says which is which
            found.astray.append((path, free[0]))
        else:
            found.gone.append(path)
    return found


def _by_name(paths: Iterable[str]) -> dict[str, list[str]]:
    named: dict[str, list[str]] = {}
    for path in paths:
        named.setdefault(_name(path), []).append(path)
    return named


def _name(path: str) -> str:
    return path.rpartition("/")[2].casefold()
