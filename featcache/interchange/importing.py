"""Feature files of other projects to an entry of the cache like any other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featcache.backbones.names import parse
from featcache.errors import ImportRefusedError
from featcache.interchange.arrays import UNKNOWN, Checked, Split, check
from featcache.interchange.files import load
from featcache.store.cache import FeatureCache
from featcache.store.entry import Entry, open_entry, reload
from featcache.store.files import sha256
from featcache.store.writing import NewShard, image_arrays, put, put_text

CLIP_LOGIT_SCALE = 100.0
SHARD_ROWS = 65536


def import_features(
    files: Sequence[Path], dataset: str, backbone: str, cache: FeatureCache
) -> Entry:
    """Take the arrays of one or several files into a cache entry like any other.

    Raises `ImportRefusedError` where arrays are missing, disagree in width or length, hold labels
    out of range, or values that are not finite.
    """
    arrays = _load(files)
    found = check(arrays)
    name = parse(backbone, None)
    digests = {path: sha256(path) for path in files}
    digest = hashlib.sha256("".join(digests.values()).encode()).hexdigest()
    header = {
        "dataset": _dataset(dataset, digest, found),
        "backbone": _backbone(name.canonical, arrays, found),
        "normalised": _normalised(found.splits),
        "ids": "known" if any(key.endswith("ids") for key in arrays) else "none",
        "source": "imported",
        "files": {path.name: digest for path, digest in digests.items()},
        "versions": {"featcache": version("featcache")},
        "shard_rows": SHARD_ROWS,
        "asked": list(found.splits),
    }
    entry = open_entry(cache.root / dataset / name.slug / digest[:12], header)
    for split, rows in found.splits.items():
        for shard in _shards(split, rows):
            put(entry, [shard])
    put_text(entry, "imported", np.concatenate(found.text), found.prompts)
    return reload(entry)


def _load(files: Sequence[Path]) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    for path in files:
        for key, array in load(path).items():
            if key in arrays:
                raise ImportRefusedError(f"{path}: {key!r} stands in an earlier file too.")
            arrays[key] = array
    return arrays


def _dataset(name: str, digest: str, found: Checked) -> dict[str, Any]:
    return {
        "name": name,
        "fingerprint": digest[:16],
        "classnames": list(found.classnames),
        "splits": {split: len(rows.labels) for split, rows in found.splits.items()},
        "flip": UNKNOWN,
    }


def _backbone(name: str, arrays: Mapping[str, NDArray[Any]], found: Checked) -> dict[str, Any]:
    return {
        "name": name,
        "fingerprint": UNKNOWN,
        "width": found.width,
        "logit_scale": float(arrays.get("logit_scale", CLIP_LOGIT_SCALE)),
        "logit_scale_from": "file" if "logit_scale" in arrays else "assumed, CLIP's 100",
        "activation": UNKNOWN,
        "precision": UNKNOWN,
        "preprocess": UNKNOWN,
    }


def _normalised(splits: Mapping[str, Split]) -> bool:
    rows = [split.features.astype(np.float32) for split in splits.values()]
    norms = np.concatenate([np.linalg.norm(x, axis=1) for x in rows])
    return bool(np.abs(norms - 1).max() < 5e-3)


def _shards(name: str, split: Split) -> Iterator[NewShard]:
    x, labels, ids = split
    for start in range(0, len(x), SHARD_ROWS):
        stop = min(start + SHARD_ROWS, len(x))
        record = {"kind": "images", "split": name, "start": start, "stop": stop, "bad": 0}
        rows, n = slice(start, stop), stop - start
        arrays = image_arrays(
            x[rows].astype(np.float16), labels[rows], ids[rows], np.ones(n, bool), [""] * n
        )
        yield NewShard(f"images-{name}-{start // SHARD_ROWS:05d}.h5", record, arrays)
