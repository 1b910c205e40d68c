"""From listed pictures to a data set: which classes there are, and what is trained and scored on.

What readers of tables, archives and flat lists share; those of folders and of CoOp's lists say
both by their layout.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from featcache.datasets.checks import checked, is_plain, nfc
from featcache.datasets.dataset import PHOTO, SPLITS, Dataset, Item, Source
from featcache.datasets.division import divide
from featcache.datasets.layouts._lists import read_lines
from featcache.datasets.layouts._split_folders import SPELLINGS
from featcache.errors import DatasetError

NAMES = ("classes.txt", "classnames.txt", "labels.txt")  # files with a class name a line
_SPLIT = {name: split for split, names in SPELLINGS.items() for name in names}


@dataclass(frozen=True, slots=True)
class Listed:
    """A picture as it is listed at `where`: a number or a name of its class, or both.

    `split` is one of `SPLITS`, or empty where nothing says which.
    """

    where: str
    id: str
    source: Source
    label: str
    classname: str = ""
    split: str = ""


def inner_folders(folder: Path) -> list[Path]:
    """The folders in a folder, sorted, hidden ones left out."""
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def split_called(name: str) -> str:
    """The split of that name, in any spelling; empty where it is none."""
    return _SPLIT.get(name.strip().casefold(), "")


def split_of(name: str, where: str) -> str:
    """The split of that name, empty for an empty one; DatasetError for another name."""
    if name.strip() and not split_called(name):
        raise DatasetError(f"{where}: the split {name!r} is none of {', '.join(SPLITS)}; mend it.")
    return split_called(name)


def split_in(name: str) -> str:
    """The split that one of the words of a file's name names; empty where none does."""
    found = {split_called(word) for word in re.split(r"[\W_]+", name)} - {""}
    return found.pop() if len(found) == 1 else ""


def names_beside(folder: Path) -> tuple[str, ...]:
    """Class names of a file in the folder, a line each, without numbers before them; or none."""
    for file in (folder / name for name in NAMES):
        if not file.is_file():
            continue
        names = [nfc(line) for line in read_lines(file)]
        numbered = [re.fullmatch(r"(\d+)[\s,:]+(.+)", name) for name in names]
        numbers = [int(match[1]) for match in numbered if match]
        if numbers in ([*range(len(names))], [*range(1, len(names) + 1)]):
            names = [match[2] for match in numbered if match]
        return tuple(names)
    return ()


def arranged(
    name: str,
    where: Path,
    rows: Sequence[Listed],
    names: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> Dataset:
    """The data set of what is listed at `where`; `names` are those of classes by number.

    Numbers tell classes apart whose names do not.
    Pictures without a split, or of train alone, are divided as class folders are. Raises
    DatasetError for less than two classes, for a picture that is listed twice, for splits without
    test, for numbers without names, and for what `checked` refuses.
    """
    if not rows:
        raise DatasetError(f"{where} lists no pictures; add some.")
    _refuse_twice(rows)
    classnames, labels = _classes(where, rows, names)
    if len(classnames) == 1:
        raise DatasetError(
            f"{where} gives one class, {classnames[0]!r}; list others to tell it from."
        )
    items = [Item(r.id, r.source, n) for r, n in zip(rows, labels, strict=True)]
    told = list(notes)
    if {row.split for row in rows} <= {"", "train"}:
        if rows[0].split:
            told.append(f"{where}: there is train alone, which was divided into train, val, test.")
        splits = _divided(where, classnames, items)
    else:
        splits = _as_listed(where, rows, items)
    twice = len(set(classnames)) < len(classnames)
    ids = tuple(map(str, range(len(classnames) * twice)))
    dataset = Dataset(name, classnames, splits, PHOTO, notes=tuple(told), class_ids=ids)
    return checked(dataset, where)


def _refuse_twice(rows: Sequence[Listed]) -> None:
    first: dict[str, str] = {}
    for row in rows:
        if row.id in first:
            raise DatasetError(
                f"{row.where}: {row.id} is listed already, at {first[row.id]}; keep it once."
            )
        first[row.id] = row.where


def _classes(
    where: Path, rows: Sequence[Listed], names: Sequence[str]
) -> tuple[tuple[str, ...], list[int]]:
    """Names of the classes, and the label of each row."""
    numbered = all(re.fullmatch(r"-?[0-9]{1,9}", row.label) for row in rows)
    if not numbered:
        called = [nfc(row.classname or row.label) for row in rows]
        _refuse_unnamed(rows, called)
        own = set(called) <= set(names) and len(set(names)) == len(names)
        known = tuple(names) if own else tuple(sorted(set(called)))
        place = {name: n for n, name in enumerate(known)}
        return known, [place[name] for name in called]
    numbers = [int(row.label) for row in rows]
    for row, number in zip(rows, numbers, strict=True):
        if number < 0:
            raise DatasetError(f"{row.where}: the class {number} is less than 0; leave it out.")
    if any(row.classname for row in rows):
        _refuse_unnamed(rows, [row.classname for row in rows])
        return _named_by_row(rows, numbers)
    if not names:
        raise DatasetError(
            f"{where}: classes are numbers, such as {numbers[0]}, and nothing says what they are "
            f"called; add a column class, or a file {NAMES[0]} beside it, a name a line."
        )
    # Some count from 1: then none is 0, and the last has the number of names.
    first = int(min(numbers) == 1 and max(numbers) == len(names))
    for row, number in zip(rows, numbers, strict=True):
        if number - first >= len(names):
            raise DatasetError(
                f"{row.where}: class {number} is none of the {len(names)} that have names; mend it."
            )
    return tuple(map(nfc, names)), [number - first for number in numbers]


def _named_by_row(
    rows: Sequence[Listed], numbers: Sequence[int]
) -> tuple[tuple[str, ...], list[int]]:
    called: dict[int, str] = {}
    for row, number in zip(rows, numbers, strict=True):
        if called.setdefault(number, nfc(row.classname)) != nfc(row.classname):
            raise DatasetError(
                f"{row.where}: class {number} is called {row.classname!r} here and "
                f"{called[number]!r} before; a class has one name."
            )
    place = {number: n for n, number in enumerate(sorted(called))}
    return tuple(called[number] for number in sorted(called)), [place[n] for n in numbers]


def _refuse_unnamed(rows: Sequence[Listed], called: Sequence[str]) -> None:
    for row, name in zip(rows, called, strict=True):
        if not is_plain(name):
            raise DatasetError(f"{row.where}: the class {name!r} is not one line of text; mend it.")


def _divided(
    where: Path, classnames: Sequence[str], items: Sequence[Item]
) -> dict[str, tuple[Item, ...]]:
    members: list[list[str]] = [[] for _ in classnames]
    for item in items:
        members[item.label].append(item.id)
    for name, held in zip(classnames, members, strict=True):
        if len(held) == 1:
            raise DatasetError(
                f"{where}: {name!r} has one picture, too few for train and test; add some."
            )
    went = {
        id_: split
        for split, classes in divide(members, seed=1).items()
        for ids in classes
        for id_ in ids
    }
    return dict(_held((went[item.id] for item in items), items))


def _as_listed(
    where: Path, rows: Sequence[Listed], items: Sequence[Item]
) -> dict[str, tuple[Item, ...]]:
    have = {row.split for row in rows}
    if "" in have:
        row = next(row for row in rows if not row.split)
        raise DatasetError(f"{row.where}: nothing says which split {row.id} is in; say it for all.")
    if "test" not in have:
        raise DatasetError(
            f"{where} has {' and '.join(s for s in SPLITS if s in have)} but no test; call that "
            "test which is to be scored on, or leave out the splits to have it divided."
        )
    return dict(_held((row.split for row in rows), items))


def _held(went: Iterator[str], items: Sequence[Item]) -> Iterator[tuple[str, tuple[Item, ...]]]:
    by_split: dict[str, list[Item]] = {split: [] for split in SPLITS}
    for split, item in zip(went, items, strict=True):
        by_split[split].append(item)
    return ((split, tuple(held)) for split, held in by_split.items() if held)
