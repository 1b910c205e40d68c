"""Commands that move a whole entry as one file."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from featcache.commands.options import Key
from featcache.errors import FeatcacheError
from featcache.store import towers
from featcache.store.cache import FeatureCache
from featcache.terminal import Cache, Json, as_mapping, document, people


def pack(
    key: Key,
    out: Annotated[Path, typer.Option(help="File to write, or a folder for it.")],
    for_shots: Annotated[
        str | None,
        typer.Option(help="Only what draws of so many shots need, such as 4,16 (all pictures)."),
    ] = None,
    seeds: Annotated[str, typer.Option(help="The seeds of these draws.")] = "1,2,3",
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Write an entry to one file with its provenance and checksums, for another cache.

    Example: featcache pack digits --out digits.zip
    """
    from featcache.store import packing
    from featcache.store.reducing import reduce

    entry = source = FeatureCache(cache).get(key)
    console = people(as_json)
    with ExitStack() as stack:
        if for_shots is not None:
            numbers = (whole_numbers("--for-shots", for_shots), whole_numbers("--seeds", seeds))
            near = out if out.is_dir() else out.absolute().parent
            beside = stack.enter_context(TemporaryDirectory(dir=near if near.is_dir() else None))
            some = reduce(entry, *numbers, Path(beside))
            console.print(
                f"{some.splits['train']} of {entry.splits['train']} training pictures are drawn: "
                f"an entry of its own, {some.key}.",
                markup=False,
            )
            entry = some
        packed, complete = packing.pack(entry, out), entry.complete
    document(as_json, {"key": entry.key, "complete": complete, **as_mapping(packed)})
    console.print(
        f"Packed {entry.key} into {packed.path}: {packed.shards} shards, "
        f"{packed.bytes / 1e6:.1f} MB, SHA-256 {packed.sha256}",
        markup=False,
    )
    if towers.there(source.root, source.spoken_by):
        console.print(
            "note: the text tower, which all entries of the backbone share, is not in it; encode "
            f"with --extra {towers.TEXT_TOWER} at the other end, where methods learn prompts."
        )
    if not complete:
        console.print("note: the entry is not complete; see `featcache verify`.")


def whole_numbers(option: str, text: str) -> tuple[int, ...]:
    """The numbers of `1,2,3`. Raises `FeatcacheError` for another text."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise FeatcacheError(f"{option} takes whole numbers such as 1,2,3, got {text!r}.")
    return tuple(sorted({int(part) for part in parts}))


def unpack(
    file: Annotated[Path, typer.Argument(help="What `featcache pack` wrote.")],
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Take an entry out of a packed file into the cache, checked, under its own key.

    Example: featcache unpack digits.zip
    """
    from featcache.store import unpacking

    found = unpacking.unpack(file, FeatureCache(cache))
    document(as_json, {"key": found.entry.key, "placed": list(found.placed), "held": found.held})
    done = f"{len(found.placed)} shards placed, {found.held} were there"
    people(as_json).print(f"{found.entry.key}: {done}.", markup=False)
