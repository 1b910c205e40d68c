"""The layout of CoOp (Zhou et al. 2022): pictures in folders, and lists that say which is what.

A split file is JSON `{"train": [[path, label, class name], …], "val": …, "test": …}` with paths
below an image folder. The order of its lists is kept: it decides the few-shot draws. Class names
stay as written, with underscores; `featcache.prompts` makes them spaces.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from featcache.datasets.checks import checked, exists, is_plain, refuse_links_out, safe_id
from featcache.datasets.dataset import SPLITS, Dataset, Item
from featcache.errors import DatasetError

Row = tuple[str, int, str]  # path below the image folder, label, class name
PHOTO = ("a photo of a {}.",)


def read_coop(
    folder: Path, images: str, split: str, *, name: str, templates: Sequence[str] = PHOTO
) -> Dataset:
    """Read the split file `folder/split`, its paths lying below `folder/images`.

    Raises DatasetError for a file that is missing or malformed, for a path that leads out of the
    image folder, and for labels that are not 0 … c - 1 with one name each.
    """
    path = folder / split
    data = _read_json(path)
    if not isinstance(data, dict):
        raise DatasetError(f"{path} is not an object with train, val and test; see CoOp's splits.")
    rows = {part: _rows(data.get(part, []), f"{path}, {part}") for part in SPLITS}
    return _assemble(name, folder / images, _classnames(rows, path), rows, path, templates)


def read_aircraft(
    folder: Path, images: str, split: str, *, name: str, templates: Sequence[str] = PHOTO
) -> Dataset:
    """Read FGVC-Aircraft's own lists: `split` names the variants, label by label.

    Raises DatasetError for a list that is missing or names a variant that is not in `split`.
    """
    variants = read_lines(folder / split)
    label = {variant: index for index, variant in enumerate(variants)}
    rows: dict[str, list[Row]] = {}
    for part in SPLITS:
        path = folder / f"images_variant_{part}.txt"
        rows[part] = []
        for line in read_lines(path):
            # An id such as 0034309 is text: its zeros belong to the file name.
            picture, _, variant = line.partition(" ")
            if variant not in label:
                raise DatasetError(f"{path}: the variant of {line!r} is not in {split}; add it.")
            id_ = safe_id(f"{picture}.jpg", str(path))
            rows[part].append((id_, label[variant], variant))
    return _assemble(name, folder / images, tuple(variants), rows, folder / split, templates)


def write_coop(dataset: Dataset, path: Path) -> None:
    """Write a data set's splits as a split file, which keeps a split that was drawn."""
    splits = {
        split: [[item.id, item.label, dataset.classnames[item.label]] for item in items]
        for split, items in dataset.splits.items()
    }
    path.write_text(json.dumps(splits, indent=0), encoding="utf-8")


def find_images(folder: Path, split: str) -> str:
    """The folder, `.` or one below, that holds the pictures of a split file of unknown origin."""
    data = _read_json(folder / split)
    rows = data.get("train") if isinstance(data, dict) else None
    first = safe_id(_rows(rows or [], f"{folder / split}, train")[0][0], split) if rows else ""
    inner = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    for images in (".", *inner):
        if first and exists(folder / images / first):
            return images
    return "."


def read_lines(path: Path) -> list[str]:
    """The lines of a text file that are not empty; DatasetError where there is no such file."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise DatasetError(f"cannot read {path} ({_why(error)}); put the file there.") from None
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    for line in lines:
        if not is_plain(line):
            raise DatasetError(f"{path}: the line {line!r} is not plain text; remove it.")
    return lines


def _read_json(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DatasetError(
            f"cannot read the split file {path} ({_why(error)}); fetch it again."
        ) from None


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _rows(listed: object, where: str) -> list[Row]:
    if not isinstance(listed, list):
        raise DatasetError(f"{where} is not a list of [path, label, class name]; write it so.")
    rows: list[Row] = []
    for index, entry in enumerate(listed):
        spot = f"{where} entry {index}"
        if not isinstance(entry, list) or len(entry) != 3:
            raise DatasetError(f"{spot} is not [path, label, class name]; write it so.")
        path, label, classname = entry
        if type(label) is not int or label < 0:  # True is an int too
            raise DatasetError(f"{spot}: the label {label!r} is not a whole number from 0 on.")
        if not is_plain(classname):
            raise DatasetError(f"{spot}: the class name {classname!r} is not one line of text.")
        rows.append((safe_id(path, spot), label, classname))
    return rows


def _assemble(
    name: str,
    root: Path,
    classnames: tuple[str, ...],
    rows: Mapping[str, Sequence[Row]],
    where: Path,
    templates: Sequence[str],
) -> Dataset:
    for part in ("train", "test"):
        if not rows[part]:
            raise DatasetError(f"{where} lists no {part} pictures; add some.")
    refuse_links_out(root, (path for part in SPLITS for path, _, _ in rows[part]))
    return checked(
        Dataset(
            name=name,
            classnames=classnames,
            splits={
                part: tuple(Item(path, root / path, label) for path, label, _ in rows[part])
                for part in SPLITS
                if rows[part]
            },
            templates=tuple(templates),
        ),
        where,
    )


def _classnames(rows: Mapping[str, Sequence[Row]], where: Path) -> tuple[str, ...]:
    names: dict[int, str] = {}
    for part in rows.values():
        for path, label, name in part:
            if names.setdefault(label, name) != name:
                raise DatasetError(
                    f"{where}: label {label} is called {names[label]!r} and, at {path}, {name!r}; "
                    "a class has one name."
                )
    gap = next((label for label in range(len(names)) if label not in names), None)
    if gap is not None:
        raise DatasetError(
            f"{where}: labels go up to {max(names)} but none is {gap}; number the classes from 0 "
            "without gaps."
        )
    return tuple(names[label] for label in range(len(names)))
