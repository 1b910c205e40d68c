"""Entries of before, which know pictures by name alone, brought up to date where it is honest.

Some of the pictures and prompts are encoded anew, and where all are as they were kept the entry is
taken for what it says. A picture whose file changed after its shard was written is not: its row is
encoded again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featcache.backbones.backbone import Backbone
from featcache.backbones.forward import encode_pictures, encode_prompts
from featcache.datasets.dataset import Item, Stored
from featcache.encoding.decoding.crops import Wanted, crops_of
from featcache.encoding.looking import Look
from featcache.pictures.digest import UNKNOWN, State
from featcache.pictures.views import ViewRecipe
from featcache.store.entry import Entry
from featcache.store.originals import KIND, Originals
from featcache.store.writing import NewShard, amend, put

SAMPLES = 16
ALIKE = 0.999  # cosine to what was kept, in half precision and perhaps in other batches


def is_of_before(entry: Entry, look: Look, backbone: Backbone) -> bool:
    """Whether it is an entry of this listing and backbone that keeps no digests of pictures."""
    held = entry.manifest["backbone"]
    ours = {
        "fingerprint": backbone.weights,
        "activation": backbone.activation,
        "precision": backbone.precision,
        "preprocess": json.loads(json.dumps(asdict(backbone.preprocess))),
    }
    return (
        "identity" not in held
        and entry.manifest.get("source") == "encoded"
        and entry.manifest["dataset"].get("fingerprint") == look.dataset.fingerprint
        and all(held.get(key) == value for key, value in ours.items())
    )


def adopt(entry: Entry, look: Look, backbone: Backbone, known: Mapping[str, Any]) -> str:
    """Give the entry digests and the backbone's header `known`; a sentence on what was done.

    Raises `CacheError` where what it holds cannot be read.
    """
    pictures, alike = _pictures(entry, look, backbone)
    prompts, spoken = _prompts(entry, backbone)
    if not (alike and spoken):
        return (
            f"{entry.key} is of an earlier version and other than what is encoded now; it is left "
            "as it is."
        )
    put(entry, list(_originals(entry, look)))
    with amend(entry) as manifest:
        manifest["backbone"] = dict(known)
    return (
        f"{entry.key} is of an earlier version, which knew pictures by their names; {pictures} "
        f"pictures and {prompts} prompts encoded anew are as it has them, so it was taken over."
    )


def _pictures(entry: Entry, look: Look, backbone: Backbone) -> tuple[int, bool]:
    """How many rows were encoded anew, and whether they are alike."""
    kept, crops = list[NDArray[np.float32]](), list[NDArray[np.uint8]]()
    whole = [split for split in entry.splits if entry.encoded(split) == entry.splits[split]]
    for split in whole:
        images, items = entry.images(split), look.dataset.splits[split]
        readable = np.flatnonzero(images.valid)
        places = np.unique(np.linspace(0, len(readable) - 1, SAMPLES, dtype=int))
        for row in readable[places].tolist() if len(readable) else ():
            wanted = Wanted(items[row], centre=True, views=False)
            centre = crops_of(wanted, ViewRecipe(0), backbone.preprocess).centre
            if centre is not None:
                kept.append(images.embedding[row])
                crops.append(centre)
    if not crops:
        return 0, False
    return len(crops), _alike(np.stack(kept), encode_pictures(backbone, np.stack(crops)))


def _prompts(entry: Entry, backbone: Backbone) -> tuple[int, bool]:
    if not entry.banks:
        return 0, True
    text = entry.text()
    prompts = [prompt for mine in text.prompts for prompt in mine][:SAMPLES]
    kept = text.embedding[text.mask][: len(prompts)]
    return len(prompts), _alike(kept, encode_prompts(backbone, prompts))


def _alike(kept: NDArray[Any], anew: NDArray[Any]) -> bool:
    one, other = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (kept, anew))
    return bool(((one * other).sum(1) >= ALIKE).all())


def _originals(entry: Entry, look: Look) -> Iterator[NewShard]:
    """The originals of every listed unit; a picture that may have changed since has no digest."""
    place_of = look.by_split({row: row for row in range(len(look.items))})
    for split, items in look.dataset.splits.items():
        for name, record in entry.shards("images", split).items():
            written = (entry.folder / name).stat().st_mtime_ns
            rows = range(record["start"], record["stop"])
            flat = [place_of[split][row] for row in rows]
            sure = [_is_older(look.items[row], look.states[row], written) for row in flat]
            digests = look.digests(flat)
            held = Originals(
                tuple(items[row].id for row in rows),
                tuple(items[row].label for row in rows),
                tuple(digests[row] if ok else "" for row, ok in zip(flat, sure, strict=True)),
                np.array(
                    [
                        look.states[row] if ok else UNKNOWN
                        for row, ok in zip(flat, sure, strict=True)
                    ]
                ),
            )
            place = {key: record[key] for key in ("split", "start", "stop")}
            yield NewShard(name.replace("images", KIND, 1), {"kind": KIND, **place}, held.arrays)


def _is_older(item: Item, state: State, written: int) -> bool:
    if not isinstance(item.source, Path | Stored):
        return True
    return state.sure and max(state.mtime, state.ctime) < written
