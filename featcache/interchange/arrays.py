"""Named arrays of strangers to checked splits, class names and prompts; no files are touched.

Keys that are read: `image_features [n, d]` with `labels [n]` for features without splits (one
pool), or `train_features`, `train_labels`, `val_…`, `test_…`; `classnames [c]`;
`text_features [c, p, d]`, `[p, c, d]` or `[c, d]`; `prompts` (`[p]` prefixes or `[c, p]`); and
optionally `ids` or `<split>_ids`, and `logit_scale`. What is not said is marked unknown. Numbers
that no adapter can use, such as rows of zeros or a logit scale that is a logarithm, are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featcache.errors import ImportRefusedError
from featcache.interchange import rows
from featcache.store.entry import POOL

Arrays = Mapping[str, NDArray[Any]]

ALIASES = {
    "image_features": ("image_features", "features", "feature_list", "embedding"),
    "labels": ("labels", "label_list", "label"),
}
UNKNOWN = "unknown"
CLIP_LOGIT_SCALE = 100.0
LOGARITHMS = (2.6, 5.0)  # of CLIP's scale as it starts, 1 / 0.07, and of larger ones than its 100


class Split(NamedTuple):
    """Rows of one split: `features [n, d]` as they came, `labels [n]`, and an id a row."""

    features: NDArray[Any]
    labels: NDArray[np.int64]
    ids: tuple[str, ...]


@dataclass(frozen=True)
class Checked:
    """What the arrays hold: splits, class names, and prompts with their embeddings by class.

    Text there may be none of; then both lists are empty.
    """

    splits: dict[str, Split]
    classnames: tuple[str, ...]
    text: list[NDArray[Any]]
    prompts: list[list[str]]

    @property
    def width(self) -> int:
        """Numbers an embedding; 0 where nothing is one."""
        every = [*(split.features for split in self.splits.values()), *self.text[:1]]
        return int(every[-1].shape[-1]) if every else 0


def check(arrays: Arrays, supports: bool = False) -> Checked:
    """Read the arrays by their names; with `supports` beside them there may be no splits.

    Raises `ImportRefusedError` where some are missing, disagree in width or length, hold labels
    out of range, or rows that are zero or not finite.
    """
    splits = _splits(arrays, supports)
    classnames = _classnames(arrays, splits)
    found = Checked(splits, classnames, *_text(arrays, classnames))
    for name, split in splits.items():
        _check_split(name, split, found)
    for name, mine in zip(classnames, found.text, strict=bool(found.text)):
        rows.check(f"text_features of class {name!r}", mine)
    return found


def logit_scale(arrays: Arrays, given: float | None = None) -> tuple[float, str]:
    """The logit scale, and where it is from: `given` by hand, the arrays, or CLIP's.

    Raises `ImportRefusedError` where it is no positive number, or looks like the logarithm of one.
    """
    if given is None and "logit_scale" not in arrays:
        return CLIP_LOGIT_SCALE, f"assumed, CLIP's {CLIP_LOGIT_SCALE:g}"
    array = np.asarray(arrays["logit_scale"] if given is None else given)
    if array.size != 1 or array.dtype.kind not in "iuf":
        raise ImportRefusedError(
            f"logit_scale must be one number, got {array.dtype} {list(array.shape)}; mend the "
            "file, or give --logit-scale."
        )
    value = float(array.reshape(()))
    if not np.isfinite(value) or value <= 0:
        raise ImportRefusedError(
            f"logit_scale is {value:g}, but must be a positive number (100 for CLIP as released); "
            "mend the file, or give --logit-scale."
        )
    if given is None and LOGARITHMS[0] <= value <= LOGARITHMS[1]:
        raise ImportRefusedError(
            f"logit_scale is {value:g}, which looks like a logarithm: give --logit-scale "
            f"{np.exp(value):.4g} if it is one, or --logit-scale {value:g} if it is not."
        )
    return value, "file" if given is None else "given by hand"


def _splits(arrays: Arrays, supports: bool) -> dict[str, Split]:
    found: dict[str, Split] = {}
    for split in ("train", "val", "test"):
        if f"{split}_features" in arrays:
            found[split] = _split(arrays, f"{split}_features", f"{split}_labels", split)
    pool = next((key for key in ALIASES["image_features"] if key in arrays), None)
    if pool and not found:
        labels = next((key for key in ALIASES["labels"] if key in arrays), "labels")
        found[POOL] = _split(arrays, pool, labels, POOL)
    if not found and not supports:
        raise ImportRefusedError(
            f"no image features among the arrays ({', '.join(arrays)}); expected image_features "
            "and labels, or train_features, train_labels and so on."
        )
    return found


def _split(arrays: Arrays, key: str, labels: str, split: str) -> Split:
    x = arrays[key]
    if labels not in arrays:
        raise ImportRefusedError(f"{key} has no {labels} beside it.")
    y = arrays[labels]
    if x.ndim != 2 or x.dtype.kind != "f":
        raise ImportRefusedError(f"{key} must be floating [n, d], got {x.dtype} {list(x.shape)}.")
    if 0 in x.shape:
        raise ImportRefusedError(
            f"{key} is empty ({list(x.shape)}); leave the split out, or fill it."
        )
    if y.shape != x.shape[:1] or not _whole(y):
        raise ImportRefusedError(
            f"{labels} must be {len(x)} whole numbers, got {y.dtype} {list(y.shape)}."
        )
    key_of_ids = "ids" if split == POOL else f"{split}_ids"
    named = _numbered(split, len(x))
    if key_of_ids in arrays:
        named = _strings(key_of_ids, arrays[key_of_ids], "SUiu")
    if len(named) != len(x):
        raise ImportRefusedError(f"{len(named)} ids for the {len(x)} rows of {key}.")
    return Split(x, y.astype(np.int64), named)


def _whole(y: NDArray[Any]) -> bool:
    if y.dtype.kind == "f":
        return bool(np.isfinite(y).all() and (y == np.round(y)).all())
    return y.dtype.kind in "iu"


def _strings(key: str, array: NDArray[Any], kinds: str = "SU") -> tuple[str, ...]:
    """A list of text, which some keep as bytes. Raises `ImportRefusedError` for anything else."""
    if array.ndim != 1 or array.dtype.kind not in kinds:
        raise ImportRefusedError(
            f"{key} must be a list of text, got {array.dtype} {list(array.shape)}."
        )
    try:
        return tuple(i.decode() if isinstance(i, bytes) else str(i) for i in array.tolist())
    except UnicodeDecodeError:
        raise ImportRefusedError(f"{key} holds text that is not UTF-8; write it anew.") from None


def _numbered(split: str, rows: int) -> tuple[str, ...]:
    return tuple(f"{split}/{row:06d}" for row in range(rows))


def _classnames(arrays: Arrays, splits: Mapping[str, Split]) -> tuple[str, ...]:
    if "classnames" not in arrays:
        raise ImportRefusedError(
            "no classnames among the arrays; add them as an array of text, or give --classes FILE."
        )
    found = _strings("classnames", arrays["classnames"])
    if not all(name.strip() for name in found):
        raise ImportRefusedError("classnames holds a name without letters; every class needs one.")
    for split, (_, labels, _) in splits.items():
        if labels.min() < 0 or labels.max() >= len(found):
            raise ImportRefusedError(
                f"{split}: labels run from {labels.min()} to {labels.max()}, but there are "
                f"{len(found)} class names."
            )
    return found


def _text(
    arrays: Arrays, classnames: tuple[str, ...]
) -> tuple[list[NDArray[Any]], list[list[str]]]:
    """Prompt embeddings and prompts, class by class; empty where there is no text."""
    if "text_features" not in arrays:
        return [], []
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
    if 0 in text.shape:
        raise ImportRefusedError(f"text_features is empty ({list(text.shape)}); fill it.")
    if text.shape[0] == text.shape[1] and (prompts is None or prompts.ndim == 1):
        raise ImportRefusedError(
            "text_features has as many prompts as classes, so its axes cannot be told apart; "
            "give prompts as [classes, prompts]."
        )
    if text.shape[0] != classes:
        text = text.transpose(1, 0, 2)
    lines = _prompts(prompts, classnames, text.shape[1])
    kept = [[i for i, line in enumerate(mine) if line] for mine in lines]
    for name, mine in zip(classnames, kept, strict=True):
        if not mine:
            raise ImportRefusedError(f"class {name!r} has no prompt that is not empty.")
    return (
        [text[c][rows] for c, rows in enumerate(kept)],
        [[lines[c][i] for i in rows] for c, rows in enumerate(kept)],
    )


def _prompts(
    prompts: NDArray[Any] | None, classnames: tuple[str, ...], count: int
) -> list[list[str]]:
    if prompts is None:
        return [[f"{UNKNOWN} prompt {i}" for i in range(count)] for _ in classnames]
    if prompts.shape == (len(classnames), count):
        return [list(_strings("prompts", mine)) for mine in prompts]
    if prompts.shape == (count,):
        spelt = [p if "{}" in p else f"{p} {{}}" for p in _strings("prompts", prompts)]
        return [[p.replace("{}", name.replace("_", " ")) for p in spelt] for name in classnames]
    raise ImportRefusedError(
        f"prompts {list(prompts.shape)} fit neither [{count}] nor [{len(classnames)}, {count}]."
    )


def _check_split(name: str, split: Split, found: Checked) -> None:
    x, labels, _ = split
    if x.shape[1] != found.width:
        raise ImportRefusedError(
            f"{name} features are {x.shape[1]} wide and {'text' if found.text else 'other'} "
            f"features {found.width}; both must come from the same backbone."
        )
    rows.check(name, x)
    if name in ("train", POOL):
        counts = np.bincount(labels, minlength=len(found.classnames))
        if not counts.all():
            empty = found.classnames[int(counts.argmin())]
            raise ImportRefusedError(f"class {empty!r} has no row in {name}.")
