"""SS-Text: a file for each data set, with features, labels and class prototypes.

`<dataset>_<vlm>.npz` holds `feats_ds` `[n, d]`, `refs_ds` `[n]`, `logit_scale`, and prototypes
`[c, d]`; prompts as `samples_text` with `labels_text` in some. Which one it trained on, none says.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from featcache.errors import ImportRefusedError
from featcache.interchange.given import Given
from featcache.interchange.orientation import whole_labels
from featcache.interchange.taken import Taken, put
from featcache.interchange.text import prompts_of

KEYS = {"feats_ds", "refs_ds"}
PROTOTYPES = ("initial_prototypes", "textual_prototypes")
KNOWN = {*KEYS, *PROTOTYPES, "logit_scale", "logits_ds", "samples_text", "labels_text"}


def claims(given: Given) -> bool:
    """Features and references by SS-Text's keys."""
    return any(given.keys(path) >= KEYS for _, path in given.named(r"[^/]*\.npz"))


def read(given: Given) -> Taken:
    """One file as a pool; several by `train` and `test` in their names."""
    files = [path for _, path in given.named(r"[^/]*\.npz") if given.keys(path) >= KEYS]
    arrays: dict[str, NDArray[Any]] = {}
    for path in files:
        held, split = given.load(path), _split(path, alone=len(files) == 1)
        put(arrays, f"{split}features", held["feats_ds"], path)
        put(arrays, f"{split}labels", whole_labels(path, held["refs_ds"]), path)
        if "logit_scale" in held:
            put(arrays, "logit_scale", held["logit_scale"], path)
        for name in PROTOTYPES:
            if name in held:
                put(arrays, "text_features", held[name], path)
    first = given.load(files[0])
    if {"samples_text", "labels_text"} <= first.keys() and first["samples_text"].ndim == 2:
        prompts = {"features": first["samples_text"], "labels": first["labels_text"]}
        arrays |= prompts_of(files[0], prompts)
    left = {key for path in files for key in given.keys(path)} - KNOWN
    return Taken(arrays, left=tuple(sorted(left)))


def _split(path: Path, alone: bool) -> str:
    found = re.findall("train|val|test", path.stem.lower())
    if found:
        return f"{found[-1]}_"
    if alone:
        return ""
    raise ImportRefusedError(
        f"{path}: of several files none says which one was trained on; give one alone, or copies "
        "with train and test in their names."
    )
