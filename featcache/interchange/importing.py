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
from featcache.interchange.arrays import UNKNOWN, Checked, Split, logit_scale
from featcache.interchange.embedded import Embedded, embedded, support_shards
from featcache.interchange.offer import Offer, Said, look
from featcache.interchange.orientation import is_unit
from featcache.interchange.rows import compact, kept_as, portions
from featcache.interchange.taken import Drawn, Taken
from featcache.interchange.widths import width
from featcache.store.cache import FeatureCache
from featcache.store.entry import Entry, open_entry, reload
from featcache.store.files import sha256
from featcache.store.originals import content_hash
from featcache.store.shard import strings
from featcache.store.writing import (
    NewShard,
    amend,
    image_arrays,
    put,
    put_projection,
    text_name,
    write,
)

SHARD_ROWS = 65536
BANK = "imported"
SAID_NOTHING = Said()


def import_features(
    files: Sequence[Path],
    dataset: str,
    backbone: str,
    cache: FeatureCache,
    logit_scale: float | None = None,
    *,
    format: str | None = None,
    classes: Path | None = None,
    text: Path | None = None,
    seed: int | None = None,
) -> Entry:
    """Take the features of files, or of all files in folders, into a cache entry like any other.

    `logit_scale` goes before what the files say; `format` is the project that wrote them, where
    that is not recognised; `classes` and `text` are files with class names and class vectors, and
    `seed` is that of support sets whose files do not say it. Raises `ImportRefusedError` where
    something is not known, arrays disagree in width or length, hold labels out of range, or numbers
    that no adapter can use; where they are not of the backbone's width, and for a name that is no
    folder's.
    """
    said = Said(format, classes, text, seed)
    return take(look(files, dataset, backbone, said), dataset, backbone, cache, logit_scale, said)


def take(
    offer: Offer,
    dataset: str,
    backbone: str,
    cache: FeatureCache,
    logit_scale: float | None = None,
    said: Said = SAID_NOTHING,
) -> Entry:
    """Write what was offered into the cache; see `import_features`."""
    if why := no_name(dataset):
        raise ImportRefusedError(why)
    found, taken = offer.checked()
    name = parse(backbone, None)
    _check_width(name, found, taken.supports)
    supports, projection = embedded(taken.supports, name, found.width)
    digests = [(path, sha256(path)) for path in offer.files]
    digest = hashlib.sha256("".join(each for _, each in digests).encode()).hexdigest()
    if said.words:  # what they say is no part of the files, and an entry never changes
        digest = hashlib.sha256(f"{digest} {said.words}".encode()).hexdigest()
    wide = found.width or supports[0].embedding.shape[-1]
    kept = {split: kept_as(rows.features) for split, rows in found.splits.items()}
    text = compact(np.concatenate(found.text)) if found.text else None
    unit, raw = _lengths(found.splits, supports)
    header = {
        "dataset": _dataset(dataset, digest, found, taken.supports),
        "backbone": _backbone(name.canonical, taken.arrays, wide, logit_scale),
        "normalised": bool(unit),  # where some parts are, lengths of the others tell nothing
        "views": taken.views,
        "ids": "known" if _has_ids(taken) else "none",
        "source": "imported",
        "project": offer.project,
        "transposed": taken.transposed,
        "remarks": [*taken.remarks, *_mixed(unit, raw)],
        "files": _by_name(digests),
        "stored_as": {
            **{split: str(dtype) for split, dtype in kept.items()},
            **{each.name: str(each.embedding.dtype) for each in supports},
            **({} if text is None else {"text": str(text.dtype)}),
        },
        "versions": {"featcache": version("featcache")},
        "shard_rows": SHARD_ROWS,
        "asked": list(found.splits),
        # Named before it is there, so that an import that was killed is no entry without text.
        "texts": {} if text is None else {BANK: text_name(BANK, found.prompts)},
    }
    if logit_scale is not None:  # it changes scores, and an entry never changes
        digest = hashlib.sha256(f"{digest} {logit_scale!r}".encode()).hexdigest()
    entry = open_entry(cache.root / dataset / name.slug / digest[:12], header)
    if projection is not None:
        put_projection(entry, projection)
    if supports:
        put(entry, [shard for each in supports for shard in support_shards(each, SHARD_ROWS)])
    for split, rows in found.splits.items():
        for shard in _shards(split, rows, kept[split]):
            put(entry, [shard])
    if text is not None:
        _put_text(entry, text, found.prompts)
    return _indexed(reload(entry))


def _indexed(entry: Entry) -> Entry:
    """The entry, whose training split has an index where it is large: its first draw needs it."""
    if "train" in entry.splits:
        entry.index("train")
    return entry


def _check_width(name: BackboneName, found: Checked, supports: Sequence[Drawn]) -> None:
    widths = [found.width, *(each.features.shape[-1] for each in supports if not each.pre)]
    known, here = width(name), next((w for w in widths if w), None)
    if known is not None and here is not None and known != here:
        raise ImportRefusedError(
            f"the features are {here} wide and {name.canonical} gives {known}; name the "
            "backbone that they were encoded with."
        )


def _has_ids(taken: Taken) -> bool:
    named = any(key.endswith("ids") for key in taken.arrays)
    return named or any(each.ids is not None for each in taken.supports)


def _by_name(digests: Sequence[tuple[Path, str]]) -> dict[str, str]:
    """Digests by the names of their files, by the paths where several have one name."""
    names = [path.name for path, _ in digests]
    return {p.name if names.count(p.name) == 1 else str(p): digest for p, digest in digests}


def _dataset(name: str, digest: str, found: Checked, supports: Sequence[Drawn]) -> dict[str, Any]:
    held = {each.name: len(each.labels) for each in supports}
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
        **({"supports": held} if held else {}),
    }


def _backbone(
    name: str, arrays: Mapping[str, NDArray[Any]], wide: int, given: float | None
) -> dict[str, Any]:
    scale, source = logit_scale(arrays, given)
    return {
        "name": name,
        "fingerprint": UNKNOWN,
        "width": wide,
        "logit_scale": scale,
        "logit_scale_from": source,
        "activation": UNKNOWN,
        "precision": UNKNOWN,
        "preprocess": UNKNOWN,
    }


def _lengths(
    splits: Mapping[str, Split], supports: Sequence[Embedded]
) -> tuple[list[str], list[str]]:
    """The splits and support sets whose rows all have length 1, and the others."""
    every = {split: rows.features for split, rows in splits.items()}
    every |= {f"support {each.name}": each.embedding for each in supports}
    unit = [name for name, x in every.items() if is_unit(x)]
    return unit, [name for name in every if name not in unit]


def _mixed(unit: Sequence[str], raw: Sequence[str]) -> list[str]:
    if not unit or not raw:
        return []
    return [f"{', '.join(unit)} had been normalised before, {', '.join(raw)} had not."]


def _shards(name: str, split: Split, dtype: np.dtype[Any]) -> Iterator[NewShard]:
    """The shards of a split, converted one at a time."""
    features, labels, ids = split
    for number, x in enumerate(portions(features, SHARD_ROWS)):
        start = number * SHARD_ROWS
        rows = slice(start, start + len(x))
        record = {"kind": "images", "split": name, "start": start, "stop": rows.stop, "bad": 0}
        good, reasons = np.ones(len(x), bool), [""] * len(x)
        arrays = image_arrays(x.astype(dtype, "C"), labels[rows], ids[rows], good, reasons)
        yield NewShard(f"images-{name}-{number:05d}.h5", record, arrays)


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
