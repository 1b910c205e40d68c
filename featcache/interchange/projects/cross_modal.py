"""Cross-Modal: raw features with the path of every picture, and prompts with their text.

`features/image/{enc}_{layer}/{dataset}/{view}/shot_{K}-seed_{s}.pth` holds `train` and `val`, each
with `features` `[n, d]`, `labels` and `paths`; `{dataset}/test.pth` the same of the test pictures;
`features/text/{enc}_{layer}/{dataset}/{aug}.pth` the prompts. Layer 0 alone is embeddings.
"""

from __future__ import annotations

import os.path
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featcache.errors import ImportRefusedError
from featcache.interchange.given import Given
from featcache.interchange.projects import _common
from featcache.interchange.taken import SINGLE, TRAIN, VAL, Drawn, Taken, put
from featcache.interchange.text import is_prompts, prompts_of

SHOTS = r"(?P<view>[^/]+)/shot_(?P<shots>\d+)-seed_(?P<seed>\d+)\.pth"
TEST = {"features", "labels", "paths"}


def claims(given: Given) -> bool:
    """A draw by its name, or test pictures with their paths."""
    return given.has(SHOTS) or any(given.keys(path) == TEST for path in _tests(given))


def read(given: Given) -> Taken:
    """Draws with their own validation pictures, the test split, and prompts."""
    drawn: list[Drawn] = []
    arrays: dict[str, NDArray[Any]] = {}
    remarks: list[str] = []
    for match, path in given.named(SHOTS):
        _check_layer(path)
        held = given.load(path)
        for part in (TRAIN, VAL):
            if f"{part}_features" not in held and part == VAL:
                continue
            x, labels = (_of(held, f"{part}_{what}", path) for what in ("features", "labels"))
            ids = _ids(held.get(f"{part}_paths"), path)
            drawn.append(Drawn(int(match["shots"]), int(match["seed"]), x[None], labels, ids, part))
        if re.fullmatch(r"view_\d+", match["view"]):
            told = f"of the views that {match['view']} speaks of, these files keep the last alone."
            remarks += [] if told in remarks else [told]
    for path in _tests(given):
        _check_layer(path)
        held = given.load(path)
        for what in ("features", "labels"):
            put(arrays, f"test_{what}", _of(held, what, path), path)
        if ids := _ids(held.get("paths"), path):
            put(arrays, "test_ids", np.array(ids), path)
    texts = [path for _, path in given.named(r"[^/]*\.pth") if is_prompts(given.keys(path))]
    if len(texts) > 1:
        remarks.append(f"of {len(texts)} sets of prompts none is taken; name one with --text.")
    elif texts:
        _check_layer(texts[0])
        arrays |= prompts_of(texts[0], given.load(texts[0]))
    return Taken(arrays, _common.unlike(drawn), SINGLE, remarks=tuple(remarks))


def _tests(given: Given) -> list[Path]:
    return [path for _, path in given.named(r"test\.pth")]


def _of(held: dict[str, NDArray[Any]], name: str, path: Path) -> NDArray[Any]:
    if name not in held:
        raise ImportRefusedError(f"{path} holds {', '.join(held)}, but no {name}.")
    return held[name]


def _check_layer(path: Path) -> None:
    """Raise `ImportRefusedError` for what enters the last block instead of what leaves it."""
    layer = re.search(r"/(?:image|text)/[^/]*_(\d+)/", path.absolute().as_posix())
    if layer and layer[1] != "0":
        raise ImportRefusedError(
            f"{path} is of layer {layer[1]}, which enters the last block and is no embedding; "
            "give the folder of layer 0."
        )


def _ids(paths: NDArray[Any] | None, where: Path) -> tuple[str, ...] | None:
    """Paths as ids below the folder that all share; they are kept as text and never opened."""
    if paths is None or paths.dtype.kind != "U" or not paths.size:
        return None
    found = [text.replace("\\", "/") for text in paths.tolist()]
    if any(".." in text.split("/") for text in found):
        raise ImportRefusedError(f"{where}: a path leads out of its folder ('..'); mend the file.")
    if any(text.startswith("/") or text[1:2] == ":" for text in found):
        shared = os.path.commonpath([os.path.dirname(text) for text in found])  # noqa: PTH120
        found = [text.removeprefix(shared).lstrip("/") for text in found]
    return tuple(found)
