"""What is done when everything is there: contents noted, the older state done away with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np

from featcache.datasets.dataset import Dataset
from featcache.encoding.plan import rows_with_views
from featcache.errors import CacheError, UnknownNameError
from featcache.store.entry import Entry
from featcache.store.originals import contents
from featcache.store.writing import amend


def finish(entry: Entry, dataset: Dataset) -> list[str]:
    """Note what complete splits hold and what was said; do away with what is older if all is there.

    Gives sentences on what became of it. The manifest is not touched where it says all that.
    """
    found, older = contents(entry), entry.manifest.get("older", {})
    gone = bool(older) and entry.complete
    said = list(dataset.notes)
    known = entry.manifest["dataset"].get("contents", {}), entry.manifest.get("notes", [])
    if known == (found, said) and not gone:
        return _kept(entry)
    lost: list[str] = []
    with amend(entry) as manifest:
        manifest["dataset"]["contents"] = found
        manifest["notes"] = said
        if gone:
            manifest.pop("older", None)
            lost = list(_views_lost(manifest, dataset, older))
            for name in lost:
                del manifest["view_sets"]["train"][name]
            manifest["shards"] = {
                n: r for n, r in manifest["shards"].items() if r.get("set") not in lost
            }
    if not gone:
        return _kept(entry)
    for name in older:
        (entry.folder / name).unlink(missing_ok=True)
    notes = [f"{entry.key} was brought up to date; its older state is gone."]
    if lost:
        notes.append(
            f"{len(lost)} sets of views that were not asked for again went with it; encode with "
            "the options that made them to have them back."
        )
    return notes


def look_ahead(entry: Entry) -> None:
    """Have the index of a large training split made, which its first draw would wait for."""
    with suppress(CacheError, UnknownNameError):  # whoever draws is told what is wrong
        entry.index("train")


def _kept(entry: Entry) -> list[str]:
    """What keeps the older state there, if it is."""
    if not entry.manifest.get("older"):
        return []
    return [f"the older state of {entry.key} is kept until all is there: {entry.lacking()[0]}"]


def _views_lost(manifest: dict[str, Any], dataset: Dataset, older: dict[str, Any]) -> Iterator[str]:
    """View sets that had shards in the older state and are not whole without them."""
    had = {record.get("set") for record in older.values() if record["kind"] == "views"}
    size = manifest["shard_rows"]
    for name in had:
        header = manifest["view_sets"].get("train", {}).get(name)
        if header is None:
            continue
        wanted = rows_with_views(dataset, header["rows"]) // size * size
        there = [
            record["start"]
            for record in manifest["shards"].values()
            if record["kind"] == "views" and record.get("set") == name
        ]
        if not np.isin(wanted, there).all():
            yield name
