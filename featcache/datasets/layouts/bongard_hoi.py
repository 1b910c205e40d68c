"""The layout of Bongard-HOI (Jiang et al. 2022): lists of problems, and pictures to be cropped.

A list `bongard_hoi_test_seen_obj_unseen_act.json` holds problems, each `[positives, negatives,
"verb++object"]` with seven pictures a side, the query last. A picture is `{"im_path": …,
"crop_bbox": [left, top, right, bottom], …}`, its path below the image folder. The official order of
the two sides is kept. Only what stands in the lists is read: annotated boxes, none of a detector.

Boxes are in pixels as decoded, cut to whole ones; those of Open Images were annotated on a smaller
copy and are multiplied by 1.6. What leaves the picture is clipped when it is decoded. (The official
code takes the whole picture where a box of Open Images leaves it.)
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

from featcache.datasets.checks import (
    checked,
    exists,
    is_plain,
    read_text,
    refuse_odd_files,
    safe_id,
)
from featcache.datasets.dataset import PHOTO, Box, Dataset, Item
from featcache.datasets.layouts._lists import why
from featcache.errors import DatasetError

SIDE = 7  # pictures on either side of a problem
OPENIMAGES = 1.6
FARTHEST = 1e9  # no edge of a box lies beyond; of NaN this is not true either
SPLITS = tuple(
    f"{part}-{objects}-{actions}"
    for part, objects, actions in product(("val", "test"), *[("seen", "unseen")] * 2)
)
_SIDES = ("positives", "negatives")
_OTHER = {"pic/image/train/": "pic/image/val/", "pic/image/val/": "pic/image/train/"}

Row = tuple[str, Box]  # path below the image folder, what to crop
Problem = tuple[str, tuple[Row, ...]]  # concept, rows of both sides


def file_of(split: str) -> str:
    """The file that lists a split's problems."""
    part, objects, actions = split.split("-")
    return f"bongard_hoi_{part}_{objects}_obj_{actions}_act.json"


def words(concept: str) -> str:
    """A concept as it is spoken: `sit_on++chair` is "sit on chair"."""
    return " ".join(concept.replace("++", " ").replace("_", " ").split())


def read(
    folder: Path,
    images: str,
    marker: str,
    *,
    name: str,
    templates: Sequence[str] = PHOTO,
    follow_links: bool = False,
) -> Dataset:
    """Read the lists of val and test in `folder`, their paths lying below `folder/images`.

    `marker` is one of the lists. Pictures that are not there keep their rows, and a note counts
    them. Raises DatasetError where a list is missing or malformed, or a path leads out of the image
    folder.
    """
    root = folder / images
    listed = {split: _problems(folder / file_of(split)) for split in SPLITS}
    concepts = dict.fromkeys(concept for each in listed.values() for concept, _ in each)
    label = {concept: index for index, concept in enumerate(concepts)}
    paths = {path for each in listed.values() for _, rows in each for path, _ in rows}
    sources = {path: _find(root, path) for path in sorted(paths)}
    refuse_odd_files(
        root, (file.relative_to(root).as_posix() for file in sources.values()), follow_links
    )
    splits = {
        split: tuple(
            Item(f"{path}#{_spelt(box)}", sources[path], label[concept], box)
            for concept, rows in each
            for path, box in rows
        )
        for split, each in listed.items()
    }
    return checked(
        Dataset(
            name,
            tuple(words(concept) for concept in concepts),
            splits,
            tuple(templates),
            flip=False,
            notes=_missing(name, root, sources),
            problems=SIDE,
        ),
        folder,
    )


def _find(root: Path, path: str) -> Path:
    """Where a picture lies: some of `pic` lie in the other of its two folders."""
    there = root / path
    for folder, other in _OTHER.items():
        moved = root / path.replace(folder, other, 1)
        if path.startswith(folder) and not exists(there) and exists(moved):
            return moved
    return there


def _missing(name: str, root: Path, sources: Mapping[str, Path]) -> tuple[str, ...]:
    missing = [path for path, source in sources.items() if not exists(source)]
    if not missing:
        return ()
    return (
        f"{name}: {len(missing):,} of {len(sources):,} pictures are not below {root}, the first is "
        f"{missing[0]}; problems that need them cannot be scored, so fetch them.",
    )


def _problems(path: Path) -> list[Problem]:
    try:
        data = json.loads(read_text(path))
    except (OSError, ValueError, RecursionError) as error:
        raise DatasetError(
            f"cannot read the problems {path} ({why(error)}); fetch the annotations again."
        ) from None
    if not isinstance(data, list) or not data:
        raise DatasetError(f"{path} is not a list of problems; fetch the annotations again.")
    return [_problem(entry, f"{path} problem {index}") for index, entry in enumerate(data)]


def _problem(entry: object, where: str) -> Problem:
    if not isinstance(entry, list) or len(entry) != 3:
        raise DatasetError(f"{where} is not [positives, negatives, concept]; write it so.")
    *sides, concept = entry
    if not is_plain(concept) or not words(concept):
        raise DatasetError(f"{where}: the concept {concept!r} is not one line of text.")
    rows = [_rows(side, f"{where}, {of}") for side, of in zip(sides, _SIDES, strict=True)]
    return concept, (*rows[0], *rows[1])


def _rows(side: object, where: str) -> list[Row]:
    if not isinstance(side, list) or len(side) != SIDE:
        raise DatasetError(f"{where}: there should be a list of {SIDE} pictures, the query last.")
    rows: list[Row] = []
    for index, picture in enumerate(side):
        spot = f"{where} entry {index}"
        if not isinstance(picture, dict):
            raise DatasetError(f"{spot} is not an object with im_path and crop_bbox; write it so.")
        path = safe_id(picture.get("im_path"), spot)
        scale = OPENIMAGES if "openimages" in path else 1
        rows.append((path, _box(picture.get("crop_bbox"), scale, spot)))
    return rows


def _box(box: object, scale: float, where: str) -> Box:
    numbers = box if isinstance(box, list) else []
    if len(numbers) != 4 or not all(
        type(edge) in (int, float) and abs(edge) < FARTHEST for edge in numbers
    ):
        raise DatasetError(
            f"{where}: the crop_bbox {box!r} is not four numbers, left, top, right, bottom."
        )
    left, top, right, bottom = (float(int(scale * edge)) for edge in numbers)
    return left, top, right, bottom


def _spelt(box: Box) -> str:
    return ",".join(f"{edge:.0f}" for edge in box)
