"""Which pictures of a list are there, and the data set of those classes alone that have some."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from featcache.datasets.checks import exists, few
from featcache.datasets.dataset import Dataset, Item
from featcache.errors import DatasetError

ALL, PRESENT = "all", "present"
CLASSES = (ALL, PRESENT)
WAY = "`featcache doctor` looks for them"


def finder() -> Callable[[Path], bool]:
    """Tells of a path whether a file of that name is there; a folder is listed only once."""
    listed: dict[str, frozenset[str]] = {}

    def there(path: Path) -> bool:
        folder, name = os.path.split(path)
        if folder not in listed:
            try:
                listed[folder] = frozenset(entry.name for entry in os.scandir(folder))
            except OSError:
                listed[folder] = frozenset()
        # Some file systems take names in another case.
        return name in listed[folder] or exists(Path(path))

    return there


def missing(dataset: Dataset) -> dict[str, list[Item]]:
    """The pictures of each split whose files are not there; made ones always are."""
    there = finder()
    return {
        split: [i for i in items if isinstance(i.source, Path) and not there(i.source)]
        for split, items in dataset.splits.items()
    }


def partial(dataset: Dataset) -> str:
    """In one sentence, which pictures are not there; empty where all are."""
    gone = missing(dataset)
    lost = [item for items in gone.values() for item in items]
    if not lost:
        return ""
    absent = _absent(dataset, gone)
    way = f"{WAY}, --classes {PRESENT} leaves such classes out" if absent else WAY
    without = f"; of {len(absent)} of {len(dataset.classnames)} classes none" if absent else ""
    return f"{_counts(dataset, lost)}{without}; {way}."


def present(dataset: Dataset) -> Dataset:
    """The classes of which every split that lists them has a picture, and train is one of them.

    Labels are numbered anew, the order of classes and pictures is kept; what was left out is noted.
    Raises `DatasetError` where fewer than two classes are left.
    """
    gone = missing(dataset)
    absent = _absent(dataset, gone)
    kept = [label for label in range(len(dataset.classnames)) if label not in absent]
    names = [dataset.classnames[label] for label in kept]
    if len(kept) < 2:
        raise DatasetError(
            f"{dataset.name}: pictures are there of {len(kept)} of its {len(dataset.classnames)} "
            f"classes, and two are needed; unpack more, or see what `featcache doctor` finds."
        )
    number = {label: i for i, label in enumerate(kept)}
    splits = {
        split: tuple(replace(i, label=number[i.label]) for i in items if i.label in number)
        for split, items in dataset.splits.items()
    }
    notes = []
    if absent:
        notes.append(
            f"{dataset.name}: {len(kept)} of {len(dataset.classnames)} classes are there and "
            f"taken, with labels 0 to {len(kept) - 1} in their order: {few(names)}."
        )
    if lost := [i for items in gone.values() for i in items if i.label in number]:
        notes.append(f"{_counts(dataset, lost)}, of classes that are; {WAY}.")
    return replace(
        dataset,
        classnames=tuple(names),
        class_ids=tuple(dataset.class_ids[label] for label in kept if dataset.class_ids),
        splits={split: items for split, items in splits.items() if items},
        notes=(*dataset.notes, *notes),
    )


def _absent(dataset: Dataset, gone: Mapping[str, Sequence[Item]]) -> set[int]:
    """Labels of which a split lists pictures and has none, or which are not trained on."""
    listed = {split: {i.label for i in items} for split, items in dataset.splits.items()}
    # By identity, for a list may name a picture twice.
    lost = {id(item) for items in gone.values() for item in items}
    have = {
        split: {i.label for i in items if id(i) not in lost}
        for split, items in dataset.splits.items()
    }
    first = listed["train"] if "train" in listed else set().union(*listed.values())
    unlisted = set(range(len(dataset.classnames))) - first
    return unlisted.union(*(listed[split] - have[split] for split in listed))


def _counts(dataset: Dataset, lost: Sequence[Item]) -> str:
    pictures = sum(map(len, dataset.splits.values()))
    return (
        f"{dataset.name}: {len(lost):,} of {pictures:,} pictures are not there, the first is "
        f"{lost[0].source}"
    )
