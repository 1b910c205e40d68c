"""Which entry a data set belongs to, by the bytes of its pictures.

An entry is of a data set while most of its pictures are: then it follows whatever was added,
removed, moved, renamed or edited. Other pictures under the same names are another data set and have
an entry of their own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from featcache.backbones.backbone import Backbone
from featcache.datasets.dataset import Dataset
from featcache.datasets.remote import refuse_closed
from featcache.encoding import plan
from featcache.encoding.adoption import adopt, is_of_before
from featcache.encoding.looking import Look, compare
from featcache.encoding.settling import settle
from featcache.errors import CacheError
from featcache.files import locked
from featcache.pictures.digest import UNKNOWN
from featcache.store import manifest as manifests
from featcache.store.cache import FeatureCache
from featcache.store.entry import Entry, open_entry, reload
from featcache.store.repair import take_off

LOCK = ".lock"  # of a cache, while an entry is looked for
SAMPLES = 16  # pictures whose bytes are part of a new entry's key


@dataclass(frozen=True)
class Found:
    """The entry of a data set, digests by split and row, what was damaged, and what to say."""

    entry: Entry
    digests: Mapping[str, Mapping[int, str]]
    damaged: Sequence[str] = ()
    notes: list[str] = field(default_factory=list)


def find_entry(
    dataset: Dataset, backbone: Backbone, cache: FeatureCache, check: bool = False
) -> Found:
    """The entry of what these two give, brought up to date, or a new one.

    `check` hashes every picture, whatever its file's times say. Whoever begins meanwhile waits, on
    whatever machine, so that one alone sets aside what no longer fits. Raises `CacheError` where
    what is there cannot be read.
    """
    look = Look(dataset)
    if check:  # of all at once, before others have to wait
        look.digests([row for row, state in enumerate(look.states) if state != UNKNOWN])
    with locked(cache.root / LOCK):
        return _found(look, backbone, cache, check)


def _found(look: Look, backbone: Backbone, cache: FeatureCache, check: bool) -> Found:
    dataset = look.dataset
    folder = cache.root / dataset.name / backbone.slug
    header = _header(dataset, backbone)
    matches, damaged, notes = [], dict[Path, list[str]](), list[str]()
    for entry in _candidates(folder):
        told: list[str] = []
        if is_of_before(entry, look, backbone):
            told += take_off(entry).values()
            notes.append(adopt(reload(entry), look, backbone, header["backbone"]))
            entry = reload(entry)
        if entry.manifest["backbone"].get("identity") != backbone.identity:
            continue
        damaged[entry.folder] = [*told, *take_off(entry).values()]
        matches.append(compare(look, reload(entry), check))
    key = _key(look, backbone)
    ours = [m for m in matches if m.is_of(look) or (not m.held and m.entry.folder.name == key)]
    if ours:
        match = max(ours, key=lambda match: match.same)
        entry, settled = settle(match, look, header)
        digests = look.by_split(match.digests)
        return Found(entry, digests, damaged[entry.folder], [*notes, *settled])
    others = [match.entry.key for match in matches if match.held]
    taken = {match.entry.folder.name for match in matches}
    while key in taken:  # the same names and sizes, and other pictures
        key = hashlib.sha256(key.encode()).hexdigest()[: len(key)]
    entry = open_entry(folder / key, header)
    if others:
        notes.append(
            f"most pictures are others than those of {others[-1]}, which has the same name: this "
            f"is another data set, {entry.key}; --name gives it a name of its own."
        )
    return Found(entry, look.by_split({}), notes=notes)


def _candidates(folder: Path) -> list[Entry]:
    """The entries of that name and backbone's name, the one updated last being last."""
    found = []
    for path in folder.glob(f"*/{manifests.FILE}"):
        try:
            entry = Entry(path.parent, manifests.load(path.parent))
            if entry.draws is not None:  # it is made of another and never grows
                continue
            found.append((entry.updated, entry.key, entry))
        except (CacheError, FileNotFoundError):
            continue  # told when it is asked for
    return [entry for *_, entry in sorted(found, key=lambda each: each[:2])]


def _key(look: Look, backbone: Backbone) -> str:
    """The key of a new entry: the listing, all sizes, the bytes of some pictures, and the model."""
    rows = np.unique(np.linspace(0, max(0, len(look.items) - 1), SAMPLES, dtype=int))
    digests = look.digests(rows.tolist() if look.items else [])
    if not any(digests.values()):
        refuse_closed([look.items[row].source for row in digests])
    parts = [
        look.dataset.fingerprint,
        [state.size for state in look.states],
        list(digests.values()),
        backbone.identity,
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def _header(dataset: Dataset, backbone: Backbone) -> dict[str, Any]:
    return {
        "dataset": {
            "name": dataset.name,
            "fingerprint": dataset.fingerprint,
            "classnames": list(dataset.classnames),
            **({"class_ids": list(dataset.class_ids)} if dataset.class_ids else {}),
            "splits": {name: len(items) for name, items in dataset.splits.items()},
            "flip": dataset.flip,
            **({"problems": dataset.problems} if dataset.problems else {}),
        },
        "backbone": {
            "name": backbone.name,
            "identity": backbone.identity,
            "fingerprint": backbone.fingerprint,
            "weights": backbone.weights,
            "width": backbone.width,
            "logit_scale": backbone.logit_scale,
            "activation": backbone.activation,
            "precision": backbone.precision,
            "preprocess": asdict(backbone.preprocess),
        },
        "normalised": False,
        "source": "encoded",
        "versions": {name: version(name) for name in ("torch", "open_clip_torch", "featcache")},
        "shard_rows": plan.SHARD_ROWS,
        plan.BATCH: {},
    }
