"""An entry made by hand: ten training rows in three shards, views of four, extras and banks.

Row r of the training split has the embedding `[r, r + 0.5]`; its view v is `[r, 10 v]`; its
pre-projection is `[r, 0, -r]`, that of its view v `[v, r, 0]`; its two patches are `[r, 1]`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from featcache.store.entry import Entry, open_entry, reload
from featcache.store.features import ProjectionWeights
from featcache.store.writing import (
    NewShard,
    amend,
    image_arrays,
    put,
    put_projection,
    put_text,
)

ROWS, SHARD_ROWS = 10, 4
VIEWED = (0, 2, 5, 9)
HEADER: dict[str, Any] = {
    "dataset": {
        "name": "numbers",
        "classnames": ["even", "odd"],
        "splits": {"train": ROWS, "test": 3},
    },
    "backbone": {"name": "ViT-B-16-quickgelu:openai", "logit_scale": 50},
    "shard_rows": SHARD_ROWS,
    "asked": ["train", "test"],
}


def half(rows: Any) -> np.ndarray:
    return np.array(rows, np.float16)


def made(root: Path, *, text: bool = True) -> Entry:
    """The entry `numbers/net/0123`, whose row 6 could not be read."""
    entry = open_entry(root / "numbers" / "net" / "0123", HEADER)
    for split, rows in HEADER["dataset"]["splits"].items():
        for start in range(0, rows, SHARD_ROWS):
            put(entry, _shards(split, range(start, min(start + SHARD_ROWS, rows))))
    with amend(entry) as manifest:
        manifest["view_sets"] = {"train": {"old": {}, "new": {}}}
        manifest["extras"] = {"pre-projection": ["train"], "patches": ["train"]}
    put_projection(entry, ProjectionWeights(half([[1, 2], [3, 4], [5, 6]]), half([7, 8])))
    if text:
        for bank in ("dataset", "negative", "seven", "negative-mine"):
            put_text(entry, bank, half([[1, 2], [3, 4], [5, 6]]), [[f"{bank} a"], ["b", "c"]])
    return reload(entry)


def _shards(split: str, rows: range) -> list[NewShard]:
    place = {"split": split, "start": rows.start, "stop": rows.stop}
    number = f"{rows.start // SHARD_ROWS:05d}.h5"
    valid = np.array([not (split == "train" and r == 6) for r in rows])
    reasons = ["" if ok else "is empty." for ok in valid]
    images = image_arrays(
        half([[r, r + 0.5] for r in rows]), [r % 2 for r in rows],
        [f"{split}/ä{r}" for r in rows], valid, reasons,
    )  # fmt: skip
    bad = int((~valid).sum())
    found = [NewShard(f"images-{split}-{number}", {"kind": "images", **place, "bad": bad}, images)]
    if split == "test":
        return found
    viewed = [r for r in rows if r in VIEWED]
    row = np.array(viewed, np.int64)
    contents: dict[str, tuple[str, dict[str, Any]]] = {
        "views-train-new": (
            "views",
            {"embedding": half([[[r, 10 * v] for v in (1, 2, 3)] for r in viewed]), "row": row},
        ),
        "pre-projection-views-train-new": (
            "pre-projection",
            {"pre-projection": half([[[v, r, 0] for v in (1, 2, 3)] for r in viewed]), "row": row},
        ),
        "pre-projection-train": (
            "pre-projection",
            {"pre-projection": half([[r, 0, -r] for r in rows])},
        ),
        "patches-train": ("patches", {"patches": half([[[r, 1], [r, 1]] for r in rows])}),
    }
    for name, (kind, arrays) in contents.items():
        record = {"kind": kind, **place, **({"set": "new"} if "-new" in name else {})}
        found.append(NewShard(f"{name}-{number}", record, arrays))
    return found
