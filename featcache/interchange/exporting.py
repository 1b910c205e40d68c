"""An entry of the cache to one feature file that others can read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featcache.errors import ImportRefusedError
from featcache.interchange.files import save
from featcache.interchange.rows import compact
from featcache.store.entry import POOL, Entry


def export_features(entry: Entry, path: Path) -> Path:
    """Write an entry's centre-crop features and prompts as `.npz` or `.safetensors`.

    Keys are those that `import_features` reads. Raises `ImportRefusedError` for other suffixes, and
    for support sets, which have no place there.
    """
    if entry.supports:
        raise ImportRefusedError(
            f"{entry.key} holds support sets, and one file of arrays has no place for them; export "
            "it with --format tip."
        )
    arrays: dict[str, NDArray[Any]] = {"logit_scale": np.array(entry.logit_scale)}
    named: dict[str, list[Any]] = {"classnames": list(entry.classnames)}
    for split in entry.manifest["asked"]:
        images = entry.images(split)
        prefix = "" if split == POOL else f"{split}_"
        key = "image_features" if split == POOL else f"{split}_features"
        arrays[key] = compact(images.embedding[images.valid])
        arrays[f"{prefix}labels"] = images.label[images.valid]
        named[f"{prefix}ids"] = [i for i, ok in zip(images.id, images.valid, strict=True) if ok]
    if entry.banks:
        text = entry.text()
        flat = text.embedding.reshape(-1, text.embedding.shape[-1])
        arrays["text_features"] = compact(flat).reshape(text.embedding.shape)  # [c, p, d]
        widest = text.mask.shape[1]
        named["prompts"] = [list(p) + [""] * (widest - len(p)) for p in text.prompts]
    save(path, arrays, named)
    return path
