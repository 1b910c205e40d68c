"""A set of problems on disk, small and made of noise around a concept of each problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path

import numpy as np

from featcache import FeatureCache, import_features
from featcache.store import shard
from featcache.store.entry import Entry, reload
from featcache.store.writing import amend
from tests.entries import NARROW

LISTS = tuple(
    f"{part}-{objects}-{actions}"
    for part, objects, actions in product(("val", "test"), *[("seen", "unseen")] * 2)
)
SIDE, WIDTH, CONCEPTS = 7, 16, 3


def problem_entry(
    folder: Path, problems: int = 5, bad: Mapping[str, Sequence[int]] | None = None
) -> Entry:
    """Eight lists of problems; rows of `bad` are marked as unreadable."""
    rng = np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {"classnames": np.array(["ride a", "sit b", "hold c"])}
    centres = rng.normal(size=(CONCEPTS, WIDTH))
    for part in ("train", "val", "test"):
        arrays[f"{part}_features"] = rng.normal(size=(CONCEPTS, WIDTH)).astype("f4")
        arrays[f"{part}_labels"] = np.arange(CONCEPTS)
    arrays["text_features"] = centres[:, None].astype("f4")
    arrays["prompts"] = np.array(["a photo of a {}."])
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "features.npz", **arrays)
    entry = import_features([folder / "features.npz"], "riddles", NARROW, FeatureCache(folder))
    rows = problems * 2 * SIDE
    with amend(entry) as manifest:
        manifest["dataset"]["problems"] = SIDE
        kept = {n: r for n, r in manifest["shards"].items() if r["kind"] != "images"}
        template = shard.read(entry.folder / "images-test-00000.h5")
        manifest["dataset"]["splits"] = dict.fromkeys(LISTS, rows)
        manifest["asked"] = list(LISTS)
        record = manifest["shards"]["images-test-00000.h5"]
        for name in LISTS:
            concept = rng.integers(CONCEPTS, size=problems).repeat(2 * SIDE)
            shares = np.tile(np.repeat([1.0, 0.0], SIDE), problems)
            x = rng.normal(size=(rows, WIDTH)) + 0.8 * shares[:, None] * centres[concept]
            valid = np.ones(rows, bool)
            valid[list((bad or {}).get(name, ()))] = False
            content = {
                "embedding": x.astype("f4"),
                "label": concept.astype(template["label"].dtype),
                "id": np.array([f"{name}/{i}".encode() for i in range(rows)]),
                "valid": valid,
                "reason": np.array([b""] * rows),
            }
            written = shard.write(entry.folder / f"images-{name}-00000.h5", content)
            kept[f"images-{name}-00000.h5"] = {
                **record, **asdict(written), "split": name, "start": 0, "stop": rows,
            }  # fmt: skip
        manifest["shards"] = kept
    return reload(entry)
