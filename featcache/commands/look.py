"""Commands that look and change nothing: what is cached, and what has a name."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from featcache.commands.options import Key
from featcache.errors import CacheError
from featcache.store.cache import FeatureCache
from featcache.store.entry import Entry
from featcache.store.sameness import data_id, shared_names
from featcache.store.towers import TEXT_TOWER
from featcache.terminal import Cache, Json, as_mapping, document, people, table


def list_entries(cache: Cache = None, as_json: Json = False) -> None:
    """List what is cached, the newest last; where two data sets share a name, with their short ids.

    Example: featcache ls
    """
    store = FeatureCache(cache)
    found, broken = store.look()
    document(
        as_json,
        [describe(entry) for entry in found]
        + [{"key": key, "complete": False, "damaged": [why]} for key, why in broken.items()],
    )
    if not found and not broken:
        people(as_json).print(f"The cache {store.root} is empty; `featcache encode` fills it.")
        return
    shared = shared_names(found)
    rows = [
        (
            e.key,
            data_id(e) if e.dataset in shared else "",
            " ".join([f"{s}:{e.encoded(s)}" for s in e.splits] + _supports(e)),
            " ".join((*e.banks, *e.negative_banks)),
            " ".join((*e.extras, *_tower(e))),
            f"{e.bytes / 1e6:.1f} MB",
            _state(e),
        )
        for e in found
    ]
    rows += [(key, "", "", "", "", "", "damaged") for key in broken]
    table(people(as_json), ("key", "data", "rows", "prompts", "extras", "size", "state"), rows)


def info(key: Key, cache: Cache = None, as_json: Json = False) -> None:
    """Show an entry's provenance.

    Example: featcache info digits
    """
    described = describe(FeatureCache(cache).get(key))
    document(as_json, described)
    console = people(as_json)
    for name, value in described.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        console.print(f"[bold]{name}[/]  ", end="")
        console.print(text, markup=False)


def _supports(entry: Entry) -> list[str]:
    """Support sets in short: `k16-s1`."""
    return [f"k{shots}-s{seed}" for shots, seed in entry.supports]


def _tower(entry: Entry) -> list[str]:
    """Whether the text tower of its backbone is there, as far as a look at its record tells."""
    try:
        return [TEXT_TOWER] if entry.text_tower() else []
    except CacheError:
        return [f"{TEXT_TOWER} (damaged)"]


def _told_tower(entry: Entry) -> dict[str, Any]:
    """The kept text tower as a document; a sentence where it is damaged, nothing without."""
    try:
        held = entry.text_tower()
    except CacheError as error:
        return {TEXT_TOWER: str(error)}
    told = held and {"folder": str(held.folder), "bytes": held.size, **held.about}
    return {TEXT_TOWER: told} if told else {}


def _state(entry: Entry) -> str:
    """What a look at names and sizes can tell; `featcache verify` reads all of it."""
    if entry.lost():
        return "damaged"
    return "" if entry.complete else "incomplete"


def datasets(as_json: Json = False) -> None:
    """List the data sets known by name.

    Example: featcache datasets
    """
    from featcache import dataset_names

    found = dataset_names()
    document(as_json, [as_mapping(each) for each in found])
    rows = [(i.name, str(i.classes or ""), i.folder or "", i.description) for i in found]
    table(people(as_json), ("name", "classes", "folder below --root", "what"), rows)


def backbones(
    pattern: Annotated[str, typer.Argument(help="Part of a name.")] = "", as_json: Json = False
) -> None:
    """List the backbones known by name.

    Example: featcache backbones ViT-B-16
    """
    from featcache import backbone_names

    every = [(name.model, name.tag or "") for name in backbone_names()]
    found = [(m, t) for m, t in every if pattern.lower().replace("/", "-") in f"{m}:{t}".lower()]
    document(as_json, [{"model": m, "pretrained": t} for m, t in found])
    table(people(as_json), ("model", "pretrained"), found)


def describe(entry: Entry) -> dict[str, Any]:
    """An entry as a document: its manifest without the shards, and what follows from them."""
    skipped = ("shards", "older", "format", "text_tower")
    rest = {name: value for name, value in entry.manifest.items() if name not in skipped}
    return {
        "key": entry.key,
        "data": data_id(entry),
        "complete": entry.complete,
        "encoded": {split: entry.encoded(split) for split in entry.splits},
        "bytes": entry.bytes,
        "bad": entry.bad,
        "damaged": entry.lost(),
        **_told_tower(entry),
        **rest,
    }
