"""An entry as the folder that Tip-Adapter writes, which its heirs read too.

`keys_{K}shots.pt` `[d, n]` and `{val,test}_f.pt` `[n, d]` are of unit length and in half precision,
`values_{K}shots.pt` one-hot in as many classes as there are, `text_weights.pt` `[d, c]` the mean of
the prompts. Beside them, the class names in `classnames.txt`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featcache.draws import draw_rows, whole
from featcache.errors import CacheError, ImportRefusedError
from featcache.files import beside
from featcache.interchange.files import save
from featcache.interchange.naming import BARE
from featcache.store.entry import EMBEDDING, POOL, Entry
from featcache.store.rows import pick


def export_tip(entry: Entry, folder: Path, shots: Sequence[int], seed: int) -> Path:
    """Write the supports of these shots, val, test and text, and give the folder.

    A support is the set that was imported with that seed, or else CoOp's draw of the train split; a
    key the mean of its views, the centre crop alone where there are no others. Raises
    `ImportRefusedError` where there is nothing to draw from, `CacheError` where the disk refuses.
    """
    seed = whole("seed", seed)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CacheError(f"cannot make the folder {folder}: {error.strerror}.") from None
    for many in shots:
        views, labels = _support(entry, many, seed)
        keys = _unit(_unit(views).mean(0))  # as Tip-Adapter: normalised before and after the mean
        one_hot = np.eye(len(entry.classnames), dtype=np.float16)[labels]
        _put(folder / f"keys_{many}shots.pt", keys.T.astype(np.float16))
        _put(folder / f"values_{many}shots.pt", one_hot)
    for split in ("val", "test"):
        if split in entry.splits:
            images = entry.images(split)
            good = images.valid
            _put(folder / f"{split}_f.pt", _unit(images.embedding[good]).astype(np.float16))
            _put(folder / f"{split}_l.pt", images.label[good])
    if entry.banks:
        text = entry.text()
        mean = (_unit(text.embedding) * text.mask[..., None]).sum(1)  # [c, d]
        _put(folder / "text_weights.pt", _unit(mean).T.astype(np.float16))
    with beside(folder / "classnames.txt") as draft:
        draft.write_text("\n".join(entry.classnames) + "\n", encoding="utf-8")
    return folder


def _support(entry: Entry, shots: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Views `[v, n, d]` and labels `[n]` of a support."""
    if (shots, seed) in entry.supports:
        held = entry.support(shots, seed)
        assert held is not None  # of train there always is one
        return held.embedding, held.label
    if "train" not in entry.splits:
        there = ", ".join(f"{k} shots with seed {s}" for k, s in entry.supports)
        told = f"support sets of {there}" if there else f"a {POOL}, which this form does not know"
        raise ImportRefusedError(
            f"{entry.key} has no train split to draw {shots} shots with seed {seed} from, but "
            f"{told}; give --shots and --seed of a set, or export it without --format tip."
        )
    label, valid = entry.labels("train")
    good = np.flatnonzero(valid)
    rows = good[np.array(draw_rows(label[good], shots, random.Random(seed)), np.int64)]
    try:
        views = entry.views("train", rows)
    except CacheError:  # of some of them alone
        views = None
    if views is None:
        centre = pick(entry.folder, entry.shards("images", "train"), EMBEDDING, rows)
        assert centre is not None  # of no class there is none
        views = centre[None].astype(np.float32)
    return views, label[rows]


def _unit(x: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(x, axis=-1, keepdims=True)
    return np.asarray(x / np.maximum(lengths, 1e-12), np.float32)


def _put(path: Path, array: NDArray[Any]) -> None:
    save(path, {BARE: array}, {})
