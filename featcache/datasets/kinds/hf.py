"""Hugging Face `datasets` on disk: what `save_to_disk` writes, and what its cache keeps.

Both are files of Arrow beside JSON that lists them; nothing is unpickled and no script is run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from featcache.datasets.checks import few, read_text, safe_id
from featcache.datasets.dataset import Dataset
from featcache.datasets.kinds._arranged import (
    Listed,
    arranged,
    inner_folders,
    names_beside,
    split_of,
)
from featcache.datasets.kinds._arrow import listed
from featcache.datasets.layouts._class_folders import Walk
from featcache.datasets.layouts._lists import why
from featcache.errors import DatasetError

DICT, STATE, INFO = "dataset_dict.json", "state.json", "dataset_info.json"
DEPTH = 4  # the cache has NAME/CONFIG/VERSION/HASH


def found(path: Path) -> bool:
    """Whether it is such a folder, or one of the cache that holds a single data set."""
    return path.is_dir() and (_is_saved(path) or _cached(path) is not None)


def read(path: Path, *, name: str, walk: Walk) -> Dataset:
    """Read a saved data set with or without splits, or a cached one.

    Raises DatasetError for files that are missing or lie elsewhere, for pictures that are not
    within the tables, and for what `arranged` refuses.
    """
    rows: list[Listed] = []
    names: tuple[str, ...] = ()
    top = path if _is_saved(path) else _cached(path)
    if top is None:
        raise DatasetError(
            f"{path} holds neither {DICT}, {STATE} nor {INFO} with files of Arrow; give the folder "
            "that does."
        )
    for split, file in _saved(top) if _is_saved(top) else _of_cache(top):
        more, names = listed(file, top, split)
        rows += more
    return arranged(name, path, rows, names or names_beside(path))


def _is_saved(path: Path) -> bool:
    return any((path / file).is_file() for file in (DICT, STATE))


def _saved(path: Path) -> list[tuple[str, Path]]:
    if not (path / DICT).is_file():
        return [("", file) for file in _files(path)]
    splits = _read(path / DICT, "splits")
    where = str(path / DICT)
    return [
        (split_of(split, where), file)
        for split in splits
        for file in _files(path / safe_id(split, where))
    ]


def _files(folder: Path) -> list[Path]:
    where = folder / STATE
    listed = _read(where, "_data_files")
    files = [
        folder / safe_id(file.get("filename") if isinstance(file, dict) else file, str(where))
        for file in listed
    ]
    for file in files:
        if not file.is_file() or not file.resolve().is_relative_to(folder.resolve()):
            raise DatasetError(f"{where} lists {file.name}, which is not there; save it again.")
    return files


def _cached(path: Path) -> Path | None:
    """The folder of the cache of `datasets`, which this one is or holds alone."""
    for _ in range(DEPTH + 1):
        if (path / INFO).is_file():
            return path if next(path.glob("*.arrow"), None) else None
        inner = inner_folders(path)
        if len(inner) != 1:
            return None
        path = inner[0]
    return None


def _of_cache(folder: Path) -> list[tuple[str, Path]]:
    splits = _read(folder / INFO, "splits")
    files = []
    for split in sorted(splits, key=len):
        # <name>-<split>.arrow, or <name>-<split>-00000-of-00002.arrow
        for pattern in (f"*-{split}.arrow", f"*-{split}-[0-9]*-of-[0-9]*.arrow"):
            own = (file for file in sorted(folder.glob(pattern)))
            # What `map` and `filter` left there is no part of it.
            files += [(split_of(split, str(f)), f) for f in own if f.name[:6] != "cache-"]
    if not files:
        raise DatasetError(f"{folder} holds none of the splits {few(list(splits))}.")
    return files


def _read(file: Path, key: str) -> list[Any]:
    """What a file of JSON lists under a key."""
    try:
        held = json.loads(read_text(file))[key]
        return list(held)
    except (OSError, ValueError, RecursionError, KeyError, TypeError) as error:
        raise DatasetError(f"cannot read {key} of {file} ({why(error)}); save it again.") from None
