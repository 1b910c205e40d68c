"""The command that looks at a data set before it is encoded."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from featcache.commands import completion
from featcache.commands.options import FollowLinks, Recursive, Root
from featcache.errors import DatasetError
from featcache.terminal import Cache, Json, as_mapping, document, people

if TYPE_CHECKING:
    from featcache.datasets.checkup import Checkup, Finding

MOST, FIRST, LONGEST = 24, 3, 300  # findings, paths of each, letters of what one says
VIEWS = 20  # of `encode` as it is


def doctor(
    dataset: Annotated[
        str, typer.Argument(help="Name or folder.", autocompletion=completion.datasets)
    ],
    root: Root = None,
    backbone: Annotated[
        str,
        typer.Option(help="For the room on the disk.", autocompletion=completion.backbones),
    ] = "ViT-B/16",
    every: Annotated[bool, typer.Option("--open", help="Look into all pictures, not 200.")] = False,
    recursive: Recursive = False,
    follow_links: FollowLinks = False,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Look at a data set before hours are spent on encoding it.

    Example: featcache doctor eurosat --root ~/data
    """
    from featcache.datasets.inspection import inspect

    found = inspect(dataset, root, recursive=recursive, follow_links=follow_links, open_all=every)
    room = _room(found, backbone)
    document(as_json, {**as_mapping(found), "sound": found.sound, "bytes_needed": room})
    console = people(as_json)
    for line in (*_counts(found), *_findings(found.findings), *_disk(room, backbone, cache)):
        console.print(line, markup=False)
    wrong = sum(finding.wrong for finding in found.findings)
    if wrong:
        raise DatasetError(f"{found.name} is not as it should be ({wrong} findings, see above).")


def _counts(found: Checkup) -> Iterator[str]:
    classes = (
        f"{found.classes} of {found.published_classes}"
        if found.published_classes
        else found.classes
    )
    yield f"{found.name}{f' in {found.folder}' if found.folder else ''}: {classes} classes"
    for split in {**found.published, **found.listed, **found.there}:
        of = [
            f"{counts[split]:,} {word}"
            for counts, word in ((found.listed, "listed"), (found.published, "published"))
            if split in counts
        ]
        there = f"  {split}: {found.there.get(split, 0):,} pictures"
        yield " of ".join(filter(None, (there, " and ".join(of))))
    if found.opened:
        yield f"  {found.opened} of them looked into"


def _findings(findings: list[Finding]) -> Iterator[str]:
    for finding in sorted(findings, key=lambda each: not each.wrong)[:MOST]:
        first = ", ".join(finding.paths[:FIRST]) + (", …" if len(finding.paths) > FIRST else "")
        what = f"{finding.what}: {first}" if first else finding.what
        told = what if len(what) <= LONGEST else f"{what[:LONGEST]}…"
        way = f"; {finding.way}." if finding.way else ""
        yield f"{'wrong' if finding.wrong else 'note'}: {told}{way}"
    if len(findings) > MOST:
        yield f"and {len(findings) - MOST} more findings (--json lists all)"


def _room(found: Checkup, backbone: str) -> int | None:
    """Bytes that centre crops and the views of `encode` as it is take; None where unknown."""
    from featcache.backbones.names import parse
    from featcache.interchange.widths import width

    wide = width(parse(backbone))
    pictures = sum((found.listed or found.there).values())
    return None if wide is None else (pictures + VIEWS * found.viewed) * wide * 2


def _disk(room: int | None, backbone: str, cache: Path | None) -> Iterator[str]:
    from featcache.store.cache import FeatureCache

    if room is None:
        return
    top = FeatureCache(cache).root
    while not top.exists():
        top = top.parent
    free = shutil.disk_usage(top).free
    short = "" if free > 1.1 * room else "; make room, or give another --cache"
    yield (
        f"Encoded with {backbone} and {VIEWS} views it takes {room / 1e6:,.0f} MB; "
        f"{free / 1e6:,.0f} MB are free{short}."
    )
