"""ImageNet and its variants on disk: class folders against the classes that there should be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path

from featcache.datasets.checkup import Checkup
from featcache.datasets.layouts._wnids import read_wnids
from featcache.datasets.searching import files_below
from featcache.datasets.table import DatasetInfo
from featcache.draws import drawable
from featcache.pictures.formats import suffixes


def of_wnids(result: Checkup, folder: Path, info: DatasetInfo) -> list[Path]:
    """Fill in what is there of each split's class folders; the pictures in their place."""
    wnids = read_wnids(folder / info.marker)
    known = dict.fromkeys(map(str, range(len(wnids))) if info.reader == "numbers" else wnids)
    tops = {"test": info.images}
    if info.reader == "imagenet":
        tops = {"train": f"{info.images}/train", "test": f"{info.images}/val"}
    files = files_below(folder)
    pictures = [path for path in files if path.lower().endswith(suffixes())]
    in_place: list[str] = []
    classes: set[str] = set()
    for split, top in tops.items():
        mine = [path for path in pictures if _places(path)[0] == top]
        held = Counter(_places(path)[1] for path in mine)
        right = {name: count for name, count in held.items() if name in known}
        result.there[split] = sum(right.values())
        classes |= set(right)
        in_place += [path for path in mine if _places(path)[1] in right]
        _tell_top(result, folder, top, pictures)
        _tell_classes(result, top, held, known, every=info.reader != "own-wnids")
        if split == "train":
            labels = [n for n, name in enumerate(known) for _ in range(right.get(name, 0))]
            result.viewed = len(drawable(labels))
    _tell_elsewhere(result, tops, pictures, known)
    result.classes = len(classes)
    return [files[path] for path in in_place]


def _places(path: str) -> tuple[str, str]:
    """The folder that holds a picture's class folder, and the name of that."""
    parent, _, name = path.rpartition("/")[0].rpartition("/")
    return parent, name


def _tell_top(result: Checkup, folder: Path, top: str, pictures: list[str]) -> None:
    flat = [path for path in pictures if path.rpartition("/")[0] == top]
    if flat:
        result.add(
            f"{top}/ is flat: {len(flat):,} pictures lie in it without a class folder",
            "sort them into a folder for each class, by the published list of their classes",
            flat,
        )
    if not (folder / top).is_dir():
        result.add(f"there is no {top}/", "unpack the pictures there")


def _tell_classes(
    result: Checkup, top: str, held: Mapping[str, int], known: Collection[str], every: bool
) -> None:
    """Class folders that are missing, where `every` class has one, and those of no class."""
    lacking = [name for name in known if name not in held]
    if every and 0 < len(lacking) < len(known):
        result.add(
            f"{len(lacking)} class folders of {top}/ are missing or hold no pictures",
            "unpack them, or encode the others with --classes present",
            lacking,
        )
    if unknown := sorted(name for name in held if name not in known):
        result.add(f"{len(unknown)} folders of {top}/ are no class", "remove them", unknown)


def _tell_elsewhere(
    result: Checkup, tops: Mapping[str, str], pictures: list[str], known: Collection[str]
) -> None:
    """Pictures in class folders that lie somewhere else than in the folder of their split."""
    parents: Counter[str] = Counter()
    for path in pictures:
        parent, name = _places(path)
        if name in known and parent not in tops.values():
            parents[parent] += 1
    for parent, count in parents.items():
        near = [top for top in tops.values() if f"{parent}/".startswith(f"{top}/")]
        place = " or ".join(f"{top}/" for top in near or tops.values())
        below = f"{parent}/" if parent else "the data set's own folder"
        told = f"{count:,} pictures in class folders lie in {below} instead of {place}"
        result.add(told, f"move the class folders to {place}")
