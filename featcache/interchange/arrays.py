"""Named arrays of strangers to checked splits, class names and prompts; no files are touched.

Keys that are read: `image_features [n, d]` with `labels [n]` for features without splits (one
pool), or `train_features`, `train_labels`, `val_…`, `test_…`; `classnames [c]`;
`text_features [c, p, d]`, `[p, c, d]` or `[c, d]`; `prompts` (`[p]` prefixes or `[c, p]`); and
optionally `ids` or `<split>_ids`, and `logit_scale`. What is not said is marked unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featcache.errors import ImportRefusedError
from featcache.store.entry import POOL

Arrays = Mapping[str, NDArray[Any]]

ALIASES = {
    "image_features": ("image_features", "features", "feature_list", "embedding"),
    "labels": ("labels", "label_list", "label"),
}
UNKNOWN = "unknown"


class Split(NamedTuple):
    """Rows of one split: `features [n, d]` as they came, `labels [n]`, and an id a row."""

    features: NDArray[Any]
    labels: NDArray[np.int64]
    ids: tuple[str, ...]


@dataclass(frozen=True)
class Checked:
    """What the arrays hold: splits, class names, and prompts with their embeddings by class."""

    splits: dict[str, Split]
    classnames: tuple[str, ...]
    text: list[NDArray[Any]]
    prompts: list[list[str]]

    @property
    def width(self) -> int:
        """Numbers an embedding."""
        return int(self.text[0].shape[-1])


def check(arrays: Arrays) -> Checked:
    """Read the arrays by their names.

    Raises `ImportRefusedError` where some are missing, disagree in width or length, hold labels
    out of range, or values that are not finite.
    """
    splits = _splits(arrays)
    classnames = _classnames(arrays, splits)
    found = Checked(splits, classnames, *_text(arrays, classnames))
    for name, split in splits.items():
        _check_split(name, split, found)
    if not all(np.isfinite(_half(mine)).all() for mine in found.text):
        raise ImportRefusedError("text_features holds values that are not finite.")
    return found


def _splits(arrays: Arrays) -> dict[str, Split]:
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


def _split(arrays: Arrays, key: str, labels: str, split: str) -> Split:
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
    return Split(x, y.astype(np.int64), named)


def _numbered(split: str, rows: int) -> tuple[str, ...]:
    return tuple(f"{split}/{row:06d}" for row in range(rows))


def _classnames(arrays: Arrays, splits: Mapping[str, Split]) -> tuple[str, ...]:
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
    arrays: Arrays, classnames: tuple[str, ...]
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


def _check_split(name: str, split: Split, found: Checked) -> None:
    x, labels, _ = split
    if x.shape[1] != found.width:
        raise ImportRefusedError(
            f"{name} features are {x.shape[1]} wide and text features {found.width}; both must "
            "come from the same backbone."
        )
    bad = np.flatnonzero(~np.isfinite(_half(x)).all(1))
    if len(bad):
        raise ImportRefusedError(
            f"{name}: {len(bad)} rows are not finite in half precision, the first is row "
            f"{bad[0]}; mend or remove them."
        )
    if name in ("train", POOL):
        counts = np.bincount(labels, minlength=len(found.classnames))
        if not counts.all():
            empty = found.classnames[int(counts.argmin())]
            raise ImportRefusedError(f"class {empty!r} has no row in {name}.")


def _half(x: NDArray[Any]) -> NDArray[np.float16]:
    with np.errstate(over="ignore"):
        return x.astype(np.float16)
