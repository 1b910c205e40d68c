"""Flat pictures with a list: `labels.txt` has a picture and its class a line.

Classes are numbers, with their names in `classes.txt`, or names. Pictures lie beside the list or
in a folder there.
"""

from __future__ import annotations

import re
from pathlib import Path

from featcache.datasets.checks import safe_id
from featcache.datasets.dataset import Dataset
from featcache.datasets.kinds._arranged import (
    Listed,
    arranged,
    inner_folders,
    names_beside,
    split_called,
)
from featcache.datasets.layouts._class_folders import Walk
from featcache.datasets.layouts._lists import placed, read_lines
from featcache.errors import DatasetError
from featcache.pictures.formats import suffixes

LIST = "labels.txt"


def found(path: Path) -> bool:
    """Whether a folder has such a list, and no class folders; one of class names alone is none."""
    try:
        flat = path.is_dir() and len(inner_folders(path)) < 2
        return flat and any(_line(line) for line in read_lines(path / LIST, tabs=True)[:1])
    except DatasetError:
        return False


def read(path: Path, *, name: str, walk: Walk) -> Dataset:
    """Read `labels.txt`: `<picture> <class>` a line, parted by spaces, a tab or a comma.

    A third word may say the split. Raises DatasetError for a line that is none, a picture that
    leads elsewhere, and for what `arranged` refuses.
    """
    where = path / LIST
    entries: list[tuple[str, str, str, str]] = []
    for number, line in enumerate(read_lines(where, tabs=True), start=1):
        parts = _line(line)
        if parts is None:
            raise DatasetError(
                f"{where} line {number}: {line!r} is not '<picture> <class>'; write it so, the "
                "picture with its ending."
            )
        spot = f"{where} line {number}"
        entries.append((spot, safe_id(parts[0], spot), *parts[1:]))
    found = placed(path, [picture for _, picture, *_ in entries], walk.follow_links)
    rows = [
        Listed(spot, id_, file, label, "", split)
        for (id_, file), (spot, _, label, split) in zip(found, entries, strict=True)
    ]
    return arranged(name, path, rows, names_beside(path))


def _line(line: str) -> tuple[str, str, str] | None:
    """Picture, class and split of a line; None where there is no picture."""
    ends = "|".join(re.escape(end) for end in suffixes())
    match = re.fullmatch(rf"(.+?(?:{ends}))[\s,;]+(.+)", line, re.I)
    if not match:
        return None
    picture, rest = match[1], match[2].strip()
    tail = re.fullmatch(r"(.+?)[\s,;]+([^\s,;]+)", rest)
    if tail and (split := split_called(tail[2])):
        return picture, tail[1], split
    return picture, rest, ""
