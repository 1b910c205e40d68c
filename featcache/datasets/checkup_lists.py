"""A list of pictures against the files that are there: missing, misplaced, not listed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from featcache.datasets.checks import nfc
from featcache.datasets.checkup import Checkup
from featcache.datasets.layouts._lists import Row
from featcache.datasets.searching import Search, files_below, search
from featcache.draws import drawable
from featcache.pictures.formats import suffixes


def of_lists(
    result: Checkup,
    folder: Path,
    images: str,
    classes: Sequence[str],
    rows: Mapping[str, Sequence[Row]],
) -> list[Path]:
    """Fill in what is there of the rows of each split; the listed pictures that are there."""
    start = "" if images == "." else f"{images}/"
    wanted = {s: [(nfc(f"{start}{path}"), n) for path, n, _ in held] for s, held in rows.items()}
    files = files_below(folder)
    listed = {path for held in wanted.values() for path, _ in held}
    result.listed = {split: len(held) for split, held in wanted.items() if held}
    result.there = {s: sum(path in files for path, _ in wanted[s]) for s in result.listed}
    present = {n for held in wanted.values() for path, n in held if path in files}
    result.classes = len(present)
    result.viewed = len(drawable([n for _, n in wanted.get("train", ())]))
    pictures = [path for path in files if path.lower().endswith(suffixes())]
    free = [path for path in pictures if path not in listed]
    found = search(
        [path for held in wanted.values() for path, _ in held if path not in files], images, free
    )
    _tell_places(result, found, images)
    absent = [name for n, name in enumerate(classes) if n not in present]
    if absent and present:
        result.add(
            f"{len(absent)} of {len(classes)} classes have no picture in its place",
            "unpack them, or encode the others with --classes present",
            absent,
        )
    places = found.found
    extra = [path for path in free if path not in places and path.startswith(start)]
    if extra:
        told = f"{len(extra):,} pictures are not listed, and will not be read"
        result.add(told, "nothing need be done", extra, wrong=False)
    return [files[path] for held in wanted.values() for path, _ in held if path in files]


def _tell_places(result: Checkup, found: Search, images: str) -> None:
    for below, pairs in found.moved.items():
        result.add(
            f"{len(pairs):,} listed pictures lie below {below}/ instead of {images}/",
            f"move what is in {below}/ to {images}/",
            [there for _, there in pairs],
        )
    if found.cased:
        result.add(
            f"{len(found.cased):,} listed pictures are spelt with other capitals",
            "rename them as they are listed",
            [f"{there} (listed as {wanted})" for wanted, there in found.cased],
        )
    if found.astray:
        result.add(
            f"{len(found.astray):,} listed pictures lie in another folder",
            "move them to where they are listed",
            [f"{there} (listed as {wanted})" for wanted, there in found.astray],
        )
    if found.gone:
        result.add(
            f"{len(found.gone):,} listed pictures are nowhere",
            "unpack or fetch the archive again",
            found.gone,
        )
