"""Which folders are splits: `train/`, `val/` and `test/` under the names that people give them."""

from __future__ import annotations

from pathlib import Path

from featcache.datasets.checks import few
from featcache.datasets.dataset import SPLITS
from featcache.datasets.layouts._class_folders import Walk, class_folders, inner_folders
from featcache.errors import DatasetError

SPELLINGS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
_SPLIT = {name: split for split, names in SPELLINGS.items() for name in names}


def split_folders(folder: Path, walk: Walk) -> dict[str, str]:
    """The folder of each split, in the order of `SPLITS`; empty where the folder has no splits.

    Raises DatasetError where two folders are one split, and where there are splits but no test.
    """
    names = class_folders(folder, folder, walk)
    splits = {name: _SPLIT[name.casefold()] for name in names if name.casefold() in _SPLIT}
    if len(splits) < len(names):
        # "Train" is a class too, beside others; a split holds folders, a class pictures.
        splits = {n: s for n, s in splits.items() if inner_folders(folder / n, folder, walk)}
    others = [name for name in names if name not in splits]
    if not splits:
        return {}
    found = {s: [n for n, split in splits.items() if split == s] for s in SPLITS}
    _refuse_unclear(folder, found, others)
    walk.beside.update(others)
    return {split: held[0] for split, held in found.items() if held}


def _refuse_unclear(folder: Path, found: dict[str, list[str]], others: list[str]) -> None:
    for held in found.values():
        if len(held) > 1:
            raise DatasetError(f"{folder} has {held[0]}/ and {held[1]}/; keep one of them.")
    have = " and ".join(f"{name}/" for held in found.values() for name in held)
    if not found["test"]:
        way = f"remove the level {have}"
        if found["train"] and found["val"]:
            way = f"rename {found['val'][0]}/ to test/ if that is what to score on"
        raise DatasetError(f"{folder} has {have} but no test/; add it, or {way}.")
    if not found["train"] and others:
        raise DatasetError(
            f"{folder} has {have} beside {few(others)} but no train/; put the folders of classes "
            "that are for training into train/."
        )
