"""Feature files of other projects in and out: arrays with names, as npz or safetensors.

Keys that are read: `image_features [n, d]` with `labels [n]` for features without splits (one
pool), or `train_features`, `train_labels`, `val_…`, `test_…`; `classnames [c]`;
`text_features [c, p, d]`, `[p, c, d]` or `[c, d]`; `prompts` (`[p]` prefixes or `[c, p]`); and
optionally `ids` or `<split>_ids`, and `logit_scale`. What a file does not say is marked unknown.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featcache import names, shards
from featcache.cache import POOL, Entry, FeatureCache, amend, open_entry, put_text, reload
from featcache.errors import ImportRefusedError

ALIASES = {
    "image_features": ("image_features", "features", "feature_list", "embedding"),
    "labels": ("labels", "label_list", "label"),
}
UNKNOWN = "unknown"
CLIP_LOGIT_SCALE = 100.0
SHARD_ROWS = 65536


def import_features(
    files: Sequence[Path], dataset: str, backbone: str, cache: FeatureCache
) -> Entry:
    """Take the arrays of one or several files into a cache entry like any other.

    Raises `ImportRefusedError` where arrays are missing, disagree in width or length, hold labels
    out of range, or values that are not finite.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for path in files:
        for key, array in _load(path).items():
            if key in arrays:
                raise ImportRefusedError(f"{path}: {key!r} stands in an earlier file too.")
            arrays[key] = array
    splits = _splits(arrays)
    classnames = _classnames(arrays, splits)
    text, prompts = _text(arrays, classnames)
    width = _check(splits, text, classnames)
    name = names.parse(backbone, None)
    digest = hashlib.sha256("".join(shards.sha256(p) for p in files).encode()).hexdigest()
    header = _header(dataset, name.canonical, splits, classnames, arrays, width, digest, files)
    folder = cache.root / dataset / name.slug / digest[:12]
    entry = open_entry(folder, header)
    for split, (x, labels, ids) in splits.items():
        _write_images(entry, split, x, labels, ids)
    flat = np.concatenate([np.asarray(mine) for mine in text])
    put_text(entry, "imported", flat, prompts)
    return reload(entry)


def export_features(entry: Entry, path: Path) -> Path:
    """Write an entry's centre-crop features and prompts as `.npz` or `.safetensors`.

    Keys are those that `import_features` reads. Raises `ImportRefusedError` for other suffixes.
    """
    text = entry.text()
    arrays: dict[str, NDArray[Any]] = {"logit_scale": np.array(entry.logit_scale)}
    named: dict[str, list[Any]] = {"classnames": list(entry.classnames)}
    for split in entry.manifest["asked"]:
        images = entry.images(split)
        prefix = "" if split == POOL else f"{split}_"
        key = "image_features" if split == POOL else f"{split}_features"
        arrays[key] = images.embedding[images.valid].astype(np.float16)
        arrays[f"{prefix}labels"] = images.label[images.valid]
        named[f"{prefix}ids"] = [i for i, ok in zip(images.id, images.valid, strict=True) if ok]
    arrays["text_features"] = text.embedding.astype(np.float16)  # [c, p, d]
    widest = text.mask.shape[1]
    named["prompts"] = [list(p) + [""] * (widest - len(p)) for p in text.prompts]
    _save(path, arrays, named)
    return path


def _save(path: Path, arrays: dict[str, NDArray[Any]], named: dict[str, list[Any]]) -> None:
    if path.suffix == ".npz":
        everything = arrays | {key: np.array(value) for key, value in named.items()}
        np.savez(path, allow_pickle=False, **everything)
    elif path.suffix == ".safetensors":
        from safetensors.numpy import save_file

        save_file(arrays, path, {key: json.dumps(value) for key, value in named.items()})
    else:
        raise ImportRefusedError(f"{path}: give a name that ends in .npz or .safetensors.")


def _load(path: Path) -> dict[str, NDArray[Any]]:
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                return {key: file[key] for key in file.files}
        if path.suffix == ".safetensors":
            from safetensors import safe_open

            with safe_open(path, "numpy") as file:
                named = {k: np.array(json.loads(v)) for k, v in (file.metadata() or {}).items()}
                return {**named, **{key: file.get_tensor(key) for key in file.keys()}}  # noqa: SIM118
    except FileNotFoundError:
        raise ImportRefusedError(f"{path} does not exist.") from None
    except Exception as error:
        raise ImportRefusedError(
            f"{path} cannot be read as {path.suffix[1:]} without pickles: {error}."
        ) from None
    raise ImportRefusedError(f"{path}: only .npz and .safetensors files are taken in.")


Split = tuple[NDArray[Any], NDArray[np.int64], tuple[str, ...]]


def _splits(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Split]:
    found: dict[str, Split] = {}
    for split in ("train", "val", "test"):
        if f"{split}_features" in arrays:
            found[split] = _split(arrays, f"{split}_features", f"{split}_labels", split)
    pool = next((key for key in ALIASES["image_features"] if key in arrays), None)
    if pool and not found:
        labels = next((key for key in ALIASES["labels"] if key in arrays), "labels")
        found[POOL] = _split(arrays, pool, labels, POOL)
    if not found:
        raise ImportRefusedError(
            f"no image features among the arrays ({', '.join(arrays)}); expected image_features "
            "and labels, or train_features, train_labels and so on."
        )
    return found


def _split(arrays: Mapping[str, NDArray[Any]], key: str, labels: str, split: str) -> Split:
    x = arrays[key]
    if labels not in arrays:
        raise ImportRefusedError(f"{key} has no {labels} beside it.")
    y = arrays[labels]
    if x.ndim != 2 or x.dtype.kind != "f":
        raise ImportRefusedError(f"{key} must be floating [n, d], got {x.dtype} {list(x.shape)}.")
    if y.shape != x.shape[:1] or (y.dtype.kind not in "iu" and not np.all(y == y.astype(int))):
        raise ImportRefusedError(
            f"{labels} must be {len(x)} whole numbers, got {y.dtype} {list(y.shape)}."
        )
    ids = arrays.get("ids" if split == POOL else f"{split}_ids")
    named = tuple(str(i) for i in ids) if ids is not None else _numbered(split, len(x))
    if len(named) != len(x):
        raise ImportRefusedError(f"{len(named)} ids for the {len(x)} rows of {key}.")
    return x, y.astype(np.int64), named


def _numbered(split: str, rows: int) -> tuple[str, ...]:
    return tuple(f"{split}/{row:06d}" for row in range(rows))


def _classnames(arrays: Mapping[str, NDArray[Any]], splits: Mapping[str, Split]) -> tuple[str, ...]:
    if "classnames" not in arrays:
        raise ImportRefusedError("no classnames among the arrays; add them as an array of text.")
    found = tuple(str(name) for name in arrays["classnames"])
    for split, (_, labels, _) in splits.items():
        if labels.min() < 0 or labels.max() >= len(found):
            raise ImportRefusedError(
                f"{split}: labels run from {labels.min()} to {labels.max()}, but there are "
                f"{len(found)} class names."
            )
    return found


def _text(
    arrays: Mapping[str, NDArray[Any]], classnames: tuple[str, ...]
) -> tuple[list[NDArray[Any]], list[list[str]]]:
    """Prompt embeddings and prompts, class by class."""
    if "text_features" not in arrays:
        raise ImportRefusedError("no text_features among the arrays; every method starts at them.")
    text = arrays["text_features"]
    classes = len(classnames)
    if text.ndim == 2 and len(text) == classes:
        text = text[:, None]
    prompts = arrays.get("prompts")
    shaped = text.ndim == 3 and classes in text.shape[:2]
    if not shaped or text.dtype.kind != "f":
        raise ImportRefusedError(
            f"text_features must be floating [classes, prompts, d] with {classes} classes, got "
            f"{text.dtype} {list(text.shape)}."
        )
    if text.shape[0] == text.shape[1] and (prompts is None or prompts.ndim == 1):
        raise ImportRefusedError(
            "text_features has as many prompts as classes, so its axes cannot be told apart; "
            "give prompts as [classes, prompts]."
        )
    if text.shape[0] != classes:
        text = text.transpose(1, 0, 2)
    lines = _prompts(prompts, classnames, text.shape[1])
    kept = [[i for i, line in enumerate(mine) if line] for mine in lines]
    return (
        [text[c][rows] for c, rows in enumerate(kept)],
        [[lines[c][i] for i in rows] for c, rows in enumerate(kept)],
    )


def _prompts(
    prompts: NDArray[Any] | None, classnames: tuple[str, ...], count: int
) -> list[list[str]]:
    if prompts is None:
        return [[f"{UNKNOWN} prompt {i}" for i in range(count)] for _ in classnames]
    if prompts.ndim == 2 and prompts.shape == (len(classnames), count):
        return [[str(p) for p in mine] for mine in prompts]
    if prompts.ndim == 1 and len(prompts) == count:
        spelt = [str(p) if "{}" in str(p) else f"{p} {{}}" for p in prompts]
        return [[p.replace("{}", name.replace("_", " ")) for p in spelt] for name in classnames]
    raise ImportRefusedError(
        f"prompts {list(prompts.shape)} fit neither [{count}] nor [{len(classnames)}, {count}]."
    )


def _check(
    splits: Mapping[str, Split], text: list[NDArray[Any]], classnames: tuple[str, ...]
) -> int:
    width = text[0].shape[-1]
    for split, (x, labels, _) in splits.items():
        if x.shape[1] != width:
            raise ImportRefusedError(
                f"{split} features are {x.shape[1]} wide and text features {width}; both must "
                "come from the same backbone."
            )
        bad = np.flatnonzero(~np.isfinite(_half(x)).all(1))
        if len(bad):
            raise ImportRefusedError(
                f"{split}: {len(bad)} rows are not finite in half precision, the first is row "
                f"{bad[0]}; mend or remove them."
            )
        if split in ("train", POOL):
            counts = np.bincount(labels, minlength=len(classnames))
            if not counts.all():
                empty = classnames[int(counts.argmin())]
                raise ImportRefusedError(f"class {empty!r} has no row in {split}.")
    if not all(np.isfinite(_half(mine)).all() for mine in text):
        raise ImportRefusedError("text_features holds values that are not finite.")
    return int(width)


def _half(x: NDArray[Any]) -> NDArray[np.float16]:
    with np.errstate(over="ignore"):
        return x.astype(np.float16)


def _header(
    dataset: str,
    backbone: str,
    splits: Mapping[str, Split],
    classnames: tuple[str, ...],
    arrays: Mapping[str, NDArray[Any]],
    width: int,
    digest: str,
    files: Sequence[Path],
) -> dict[str, Any]:
    norms = np.concatenate(
        [np.linalg.norm(x.astype(np.float32), axis=1) for x, *_ in splits.values()]
    )
    return {
        "dataset": {
            "name": dataset,
            "fingerprint": digest[:16],
            "classnames": list(classnames),
            "splits": {split: len(x) for split, (x, _, _) in splits.items()},
            "flip": UNKNOWN,
        },
        "backbone": {
            "name": backbone,
            "fingerprint": UNKNOWN,
            "width": width,
            "logit_scale": float(arrays.get("logit_scale", CLIP_LOGIT_SCALE)),
            "logit_scale_from": "file" if "logit_scale" in arrays else "assumed, CLIP's 100",
            "activation": UNKNOWN,
            "precision": UNKNOWN,
            "preprocess": UNKNOWN,
        },
        "normalised": bool(np.abs(norms - 1).max() < 5e-3),
        "ids": "known" if any(key.endswith("ids") for key in arrays) else "none",
        "source": "imported",
        "files": {path.name: shards.sha256(path) for path in files},
        "versions": {"featcache": version("featcache")},
        "shard_rows": SHARD_ROWS,
        "asked": list(splits),
    }


def _write_images(
    entry: Entry, split: str, x: NDArray[Any], labels: NDArray[np.int64], ids: tuple[str, ...]
) -> None:
    for start in range(0, len(x), SHARD_ROWS):
        rows = slice(start, min(start + SHARD_ROWS, len(x)))
        name = f"images-{split}-{start // SHARD_ROWS:05d}.h5"
        arrays: dict[str, NDArray[Any]] = {
            "embedding": x[rows].astype(np.float16),
            "id": shards.strings(ids[rows]),
            "label": labels[rows],
            "reason": shards.strings([""] * (rows.stop - start)),
            "valid": np.ones(rows.stop - start, bool),
        }
        record = {"kind": "images", "split": split, "start": start, "stop": rows.stop, "bad": 0}
        record |= asdict(shards.write(entry.folder / name, arrays))
        with amend(entry) as manifest:
            manifest["shards"][name] = record
