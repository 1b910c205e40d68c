"""Feature files of other projects to an entry of the cache like any other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featcache.backbones.names import BackboneName, parse
from featcache.datasets.checks import no_name
from featcache.errors import ImportRefusedError
from featcache.interchange.arrays import UNKNOWN, Checked, Split, check, logit_scale
from featcache.interchange.files import load
from featcache.interchange.rows import compact
from featcache.interchange.widths import width
from featcache.store.cache import FeatureCache
from featcache.store.entry import Entry, open_entry, reload
from featcache.store.files import sha256
from featcache.store.originals import content_hash
from featcache.store.shard import strings
from featcache.store.writing import NewShard, amend, image_arrays, put, text_name, write

SHARD_ROWS = 65536
BANK = "imported"


def import_features(
    files: Sequence[Path],
    dataset: str,
    backbone: str,
    cache: FeatureCache,
    logit_scale: float | None = None,
) -> Entry:
    """Take the arrays of one or several files into a cache entry like any other.

    `logit_scale` goes before what the files say. Raises `ImportRefusedError` where arrays are
    missing, disagree in width or length, hold labels out of range, or numbers that no adapter can
    use; where they are not of the backbone's width, and for a name that is no folder's.
    """
    if why := no_name(dataset):
        raise ImportRefusedError(why)
    arrays = _load(files)
    found = check(arrays)
    name = parse(backbone, None)
    _check_width(name, found)
    digests = [(path, sha256(path)) for path in files]
    digest = hashlib.sha256("".join(each for _, each in digests).encode()).hexdigest()
    kept = {split: compact(rows.features) for split, rows in found.splits.items()}
    text = compact(np.concatenate(found.text))
    header = {
        "dataset": _dataset(dataset, digest, found),
        "backbone": _backbone(name.canonical, arrays, found, logit_scale),
        "normalised": _normalised(found.splits),
        "ids": "known" if any(key.endswith("ids") for key in arrays) else "none",
        "source": "imported",
        "files": _by_name(digests),
        "stored_as": {
            **{split: str(x.dtype) for split, x in kept.items()},
            "text": str(text.dtype),
        },
        "versions": {"featcache": version("featcache")},
        "shard_rows": SHARD_ROWS,
        "asked": list(found.splits),
    }
    if logit_scale is not None:  # it changes scores, and an entry never changes
        digest = hashlib.sha256(f"{digest} {logit_scale!r}".encode()).hexdigest()
    entry = open_entry(cache.root / dataset / name.slug / digest[:12], header)
    for split, rows in found.splits.items():
        for shard in _shards(split, rows, kept[split]):
            put(entry, [shard])
    _put_text(entry, text, found.prompts)
    return reload(entry)


def _check_width(name: BackboneName, found: Checked) -> None:
    known = width(name)
    if known is not None and known != found.width:
        raise ImportRefusedError(
            f"the features are {found.width} wide and {name.canonical} gives {known}; name the "
            "backbone that they were encoded with."
        )


def _by_name(digests: Sequence[tuple[Path, str]]) -> dict[str, str]:
    """Digests by the names of their files, by the paths where several have one name."""
    names = [path.name for path, _ in digests]
    return {p.name if names.count(p.name) == 1 else str(p): digest for p, digest in digests}


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
        "contents": {
            split: content_hash(rows.ids, rows.labels.tolist())
            for split, rows in found.splits.items()
        },
        "flip": UNKNOWN,
    }


def _backbone(
    name: str, arrays: Mapping[str, NDArray[Any]], found: Checked, given: float | None
) -> dict[str, Any]:
    scale, source = logit_scale(arrays, given)
    return {
        "name": name,
        "fingerprint": UNKNOWN,
        "width": found.width,
        "logit_scale": scale,
        "logit_scale_from": source,
        "activation": UNKNOWN,
        "precision": UNKNOWN,
        "preprocess": UNKNOWN,
    }


def _normalised(splits: Mapping[str, Split]) -> bool:
    rows = [split.features.astype(np.float32) for split in splits.values()]
    norms = np.concatenate([np.linalg.norm(x, axis=1) for x in rows])
    return bool(np.abs(norms - 1).max() < 5e-3)


def _shards(name: str, split: Split, x: NDArray[Any]) -> Iterator[NewShard]:
    _, labels, ids = split
    for start in range(0, len(x), SHARD_ROWS):
        stop = min(start + SHARD_ROWS, len(x))
        record = {"kind": "images", "split": name, "start": start, "stop": stop, "bad": 0}
        rows, n = slice(start, stop), stop - start
        arrays = image_arrays(x[rows], labels[rows], ids[rows], np.ones(n, bool), [""] * n)
        yield NewShard(f"images-{name}-{start // SHARD_ROWS:05d}.h5", record, arrays)


def _put_text(entry: Entry, embedding: NDArray[Any], prompts: Sequence[Sequence[str]]) -> None:
    """Write the prompt bank as `featcache.store.writing.put_text` does, in the precision given."""
    arrays = {
        "class": np.array([c for c, mine in enumerate(prompts) for _ in mine], np.int64),
        "embedding": embedding,
        "prompt": strings([prompt for mine in prompts for prompt in mine]),
    }
    name = text_name(BANK, prompts)
    records = write(entry, [NewShard(name, {"kind": "text", "bank": BANK}, arrays)])
    with amend(entry) as listed:
        listed["shards"] |= records
        listed["texts"] |= {BANK: name}
