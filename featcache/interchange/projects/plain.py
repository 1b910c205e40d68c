"""Plain pairs: arrays by their names, in `.npz`, `.npy`, `.safetensors` and `.pt` files.

The names are those of `featcache.interchange.arrays`, or others that say split and kind:
`test_x.npy`, `features_train.pt`. Of several files each may say the split in its own name.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from featcache.errors import ImportRefusedError
from featcache.interchange.given import Given
from featcache.interchange.naming import BARE
from featcache.interchange.orientation import rows_first, whole_labels
from featcache.interchange.taken import Taken

SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
FEATURES = {"features", "feature", "feats", "feat", "embeddings", "embedding", "f", "x"}
LABELS = {"labels", "label", "targets", "target", "l", "y"}
TEXT, VECTORS = {"text", "texts"}, FEATURES | {"weights"}
KNOWN = {
    *("image_features", "features", "feature_list", "embedding", "labels", "label_list", "label"),
    *("classnames", "text_features", "prompts", "ids", "logit_scale"),
    *(f"{s}_{what}" for s in ("train", "val", "test") for what in ("features", "labels", "ids")),
}


def claims(given: Given) -> bool:
    """Whatever nobody else claims."""
    return False


def read(given: Given) -> Taken:
    """Arrays that say what they are; the others are named, and left."""
    arrays: dict[str, NDArray[Any]] = {}
    left: list[str] = []
    for path in given.files:
        for key, array in given.load(path).items():
            name = _name(key, path, several=len(given.files) > 1)
            if name not in KNOWN:
                left.append(f"{path.name}: {key} {array.dtype} {list(array.shape)}")
            elif name in arrays:
                raise ImportRefusedError(f"{path}: {name!r} stands in an earlier file too.")
            else:
                arrays[name] = array
    upright, turned = _upright(arrays)
    return Taken(upright, transposed=turned, left=tuple(left))


def _name(key: str, path: Path, several: bool) -> str:
    """What an array is, by its own name or, where that does not say it, by its file's."""
    name = path.stem if key == BARE else key
    split = _said(path.stem, SPLITS) if several else ""
    if name in KNOWN and not (split and name in ("features", "labels", "ids", "image_features")):
        return name
    words = re.split(r"[\W_]+", name.lower())
    split = _said(name, SPLITS) or split
    if set(words) & TEXT:
        return "text_features" if set(words) & VECTORS else name
    kind = "features" if set(words) & FEATURES else "labels" if set(words) & LABELS else ""
    kind = kind or ("ids" if "ids" in words else "")
    if not kind or set(words) - FEATURES - LABELS - set(SPLITS) - {"ids", "image", "images"}:
        return name
    return f"{split}_{kind}" if split else kind


def _said(name: str, known: dict[str, str]) -> str:
    found = {known[word] for word in re.split(r"[\W_]+", name.lower()) if word in known}
    return found.pop() if len(found) == 1 else ""


def _upright(arrays: dict[str, NDArray[Any]]) -> tuple[dict[str, NDArray[Any]], bool]:
    """The arrays with pictures first and whole labels, and whether features lay as `[d, n]`."""
    found, turned = dict(arrays), False
    for key in arrays:
        labels = f"{key.removesuffix('features').removesuffix('image_')}labels"
        if not key.endswith("features") or key == "text_features" or labels not in arrays:
            continue
        y = arrays[labels]
        if y.ndim == 2:
            found[labels] = y = whole_labels(labels, y)
        x = arrays[key]
        if x.ndim == 2 and y.ndim == 1 and len(x) != len(y) and x.shape[1] == len(y):
            found[key], turned = rows_first(key, x, len(y))
    return found, turned
