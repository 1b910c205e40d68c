"""An entry of the pictures alone that a K-shot study needs: its draws, validation, test, prompts.

Of the training pictures those stay that one of the draws takes, or validates with where there is no
val split; val, test and prompts stay whole. It is another entry with another key, for other rows
cannot be drawn from it: which rows each draw takes stands in its manifest under `draws`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featcache.draws import few_shot
from featcache.errors import EpisodeError
from featcache.store import files, shard
from featcache.store.entry import Entry, reload
from featcache.store.originals import contents
from featcache.store.placing import place
from featcache.store.rows import path_of
from featcache.store.writing import NewShard, amend, write

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TRAIN, VAL, TEST = "train", "val", "test"
DIGITS = 12
WRITTEN = ("bytes", "sha256", "sums", "start", "stop", "bad")  # of a record, by those who write it


def named(shots: int, seed: int) -> str:
    """What a manifest calls a draw."""
    return f"{shots}-{seed}"


def reduce(entry: Entry, shots: Sequence[int], seeds: Sequence[int], root: Path) -> Entry:
    """Write the entry that these of CoOp's draws need below `root`, a cache of its own.

    Raises `EpisodeError` where nothing can be left out or a draw cannot be made, `CacheError` where
    the entry is not complete or the disk refuses.
    """
    if TRAIN not in entry.splits or not set(entry.splits) <= {TRAIN, VAL, TEST}:
        raise EpisodeError(
            f"{entry.key} has no train split that draws come from (it has "
            f"{', '.join(entry.splits)}); pack it whole."
        )
    if entry.manifest.get("draws"):
        raise EpisodeError(f"{entry.key} holds some draws alone already; pack it whole.")
    kept, draws = _draws(entry, shots, seeds)
    old = entry.folder.name
    identity = [old, [str(r["sha256"]) for r in entry.shards("images", TRAIN).values()], draws]
    name = hashlib.sha256(json.dumps([*identity, kept.tolist()]).encode()).hexdigest()[:DIGITS]
    made = Entry(root.joinpath(*entry.folder.parts[-3:-1], name), _header(entry, kept, draws))
    listed: dict[str, Any] = {}
    for file, record in entry.manifest["shards"].items():
        path = path_of(entry.folder, file, record)
        if record.get("split") == TRAIN:
            listed |= write(made, _cut(path, record, kept))
        else:
            with path.open("rb") as source:
                place(source, made.folder / file, record, files.damaged(path, "SHA-256"))
            listed[file] = dict(record)
    with amend(made) as content:
        content["shards"] = listed
    if found := contents(reload(made)):
        with amend(made) as content:
            content["dataset"]["contents"] = found
    return reload(made)


def _draws(
    entry: Entry, shots: Sequence[int], seeds: Sequence[int]
) -> tuple[NDArray[np.int64], dict[str, dict[str, list[int]]]]:
    """The rows that stay, ascending, and each draw in the numbers that rows will have."""
    import numpy as np

    rows, labels = _readable(entry, TRAIN)
    val_rows, val_labels = _readable(entry, VAL) if VAL in entry.splits else (rows, None)
    largest = max(np.bincount(labels, minlength=1))
    if odd := [k for k in shots if not 1 <= k <= largest]:
        raise EpisodeError(
            f"the largest class of {entry.dataset} has {largest} training pictures, and {odd[0]} "
            f"shots were asked for; take 1 to {largest}."
        )
    found: dict[str, dict[str, NDArray[np.int64]]] = {}
    for k, s in product(shots, seeds):
        drawn, held = few_shot(labels, val_labels, k, s)
        found[named(k, s)] = {TRAIN: rows[drawn], VAL: val_rows[held]}
    of_train = (TRAIN, VAL) if val_labels is None else (TRAIN,)
    kept = np.unique(np.concatenate([each[part] for each in found.values() for part in of_train]))
    return kept, {
        name: {
            part: (np.searchsorted(kept, where) if part in of_train else where).tolist()
            for part, where in each.items()
        }
        for name, each in found.items()
    }


def _readable(entry: Entry, split: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows of a split that are drawn from, and their labels."""
    import numpy as np

    label, valid = entry.labels(split)
    rows = np.flatnonzero(valid)
    return rows, label[rows]


def _header(entry: Entry, kept: NDArray[np.int64], draws: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest without shards: that of the entry, of fewer training pictures."""
    content = {k: v for k, v in entry.manifest.items() if k not in ("older", "generation")}
    dataset = {k: v for k, v in content["dataset"].items() if k != "contents"}
    listing = json.dumps([dataset.get("fingerprint", ""), kept.tolist()])
    dataset["fingerprint"] = hashlib.sha256(listing.encode()).hexdigest()[:16]
    dataset["splits"] = {**dataset["splits"], TRAIN: len(kept)}
    origin = {"key": entry.key, "rows": entry.splits[TRAIN]}
    return {**content, "dataset": dataset, "shards": {}, "draws": draws, "reduced": origin}


def _cut(path: Path, record: Mapping[str, Any], kept: NDArray[np.int64]) -> list[NewShard]:
    """What stays of a shard of the train split, in new numbers of rows; none where nothing does."""
    import numpy as np

    start, stop = (int(np.searchsorted(kept, record[end])) for end in ("start", "stop"))
    if start == stop:
        return []
    arrays = shard.read(path, record=record)
    if "row" in arrays:
        mine = np.isin(arrays["row"], kept)
        arrays = {name: array[mine] for name, array in arrays.items()}
        arrays["row"] = np.searchsorted(kept, arrays["row"]).astype(np.int64)
    else:
        near = kept[start:stop] - record["start"]
        arrays = {name: array[near] for name, array in arrays.items()}
    place_of = {k: v for k, v in record.items() if k not in WRITTEN} | {
        "start": start,
        "stop": stop,
    }
    if "bad" in record:  # what could not be read is not drawn
        place_of["bad"] = 0
    return [NewShard(path.name, place_of, arrays)]
