"""Commands that move a whole entry as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from featcache.commands.options import Key
from featcache.store.cache import FeatureCache
from featcache.terminal import Cache, Json, as_mapping, document, people


def pack(
    key: Key,
    out: Annotated[Path, typer.Option(help="File to write, or a folder for it.")],
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Write an entry to one file with its provenance and checksums, for another cache.

    Example: featcache pack digits --out digits.zip
    """
    from featcache.store import packing

    entry = FeatureCache(cache).get(key)
    packed = packing.pack(entry, out)
    told = {"key": entry.key, "complete": entry.complete, **as_mapping(packed)}
    document(as_json, told)
    console = people(as_json)
    console.print(
        f"Packed {entry.key} into {packed.path}: {packed.shards} shards, "
        f"{packed.bytes / 1e6:.1f} MB, SHA-256 {packed.sha256}",
        markup=False,
    )
    if not entry.complete:
        console.print("note: the entry is not complete; see `featcache verify`.")


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
