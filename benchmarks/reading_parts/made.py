"""Entries and files of made-up features: noise around centres, sorted by class."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

CLASSES, WIDTH, TRAIN, TEST, SHARD = 1000, 512, 1_281_167, 50_000, 65_536


def made(root: Path, rows: int = TRAIN, width: int = WIDTH, shard: int = SHARD) -> Any:
    """An entry of so many training rows, sorted by class, written shard by shard below `root`."""
    from featcache.store.entry import open_entry, reload
    from featcache.store.writing import NewShard, image_arrays, put, put_text

    names = [f"class {c}" for c in range(CLASSES)]
    splits = {"train": rows, "test": TEST}
    entry = open_entry(root / "made" / "made" / "000000000000", _header(names, splits, width))
    for split, many in splits.items():
        for number, (start, x, label) in enumerate(_features(split, many, width, shard)):
            n = len(x)
            ids = [f"{split}/{row:08d}" for row in range(start, start + n)]
            arrays = image_arrays(x, label, ids, np.ones(n, bool), [""] * n)
            record = {"kind": "images", "split": split, "start": start, "stop": start + n, "bad": 0}
            put(entry, [NewShard(f"images-{split}-{number:05d}.h5", record, arrays)])
    prompts = [[f"a photo of a {name}."] for name in names]
    put_text(entry, "made", _centres(width).astype(np.float16), prompts)
    return reload(entry)


def files(root: Path) -> None:
    """Both splits and the text as `.npy` files, written in portions."""
    for split, rows in (("train", TRAIN), ("test", TEST)):
        x = np.lib.format.open_memmap(
            root / f"{split}_features.npy", mode="w+", dtype=np.float16, shape=(rows, WIDTH)
        )
        labels = np.empty(rows, np.int64)
        for start, part, label in _features(split, rows, WIDTH, SHARD):
            x[start : start + len(part)] = part
            labels[start : start + len(part)] = label
        x.flush()
        np.save(root / f"{split}_labels.npy", labels)
    np.save(root / "text.npy", _centres(WIDTH))
    (root / "classes.txt").write_text("\n".join(f"class {c}" for c in range(CLASSES)))


def opened(folder: Path) -> Any:
    from featcache.store import manifest
    from featcache.store.entry import Entry

    return Entry(folder, manifest.load(folder))


def _header(names: list[str], splits: dict[str, int], width: int) -> dict[str, Any]:
    return {
        "dataset": {"name": "made", "fingerprint": "made", "classnames": names, "splits": splits},
        "backbone": {
            "name": "made", "fingerprint": "made", "width": width, "logit_scale": 100.0,
        },
        "asked": list(splits),
    }  # fmt: skip


def _centres(width: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(CLASSES, width)).astype(np.float32)


def _features(
    split: str, rows: int, width: int, shard: int
) -> Iterator[tuple[int, NDArray[np.float16], NDArray[np.int64]]]:
    """First row, features and labels of each shard: noise around centres, sorted by class."""
    rng, centres = np.random.default_rng(len(split)), _centres(width)
    noise = 3 * rng.standard_normal((min(rows, shard), width), np.float32)
    for number, start in enumerate(range(0, rows, shard)):
        label = np.arange(start, min(start + shard, rows)) * CLASSES // rows
        mine = np.roll(noise[: len(label)], number, 1)  # made once, for that takes longest
        yield start, (centres[label] + mine).astype(np.float16), label
