"""SuS-X: all data sets and backbones in one folder, told apart by their names.

`<ds>_f_{val,test}_m<bb>.pt` with `<ds>_t_…` for labels, `<ds>_f_train_m<bb>_k{K}.pt` `[d, n]` with
one-hot `<ds>_t_train_…`, `<ds>_zeroshot_text_weights_m<bb>_pt<type>.pt` `[d, c]`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from featcache.errors import ImportRefusedError
from featcache.interchange.given import Given
from featcache.interchange.orientation import rows_first, whole_labels
from featcache.interchange.projects import _common
from featcache.interchange.taken import Taken, put

ANY = (
    r"(?P<dataset>[^/]+?)_(f_(?P<split>val|test)|f_train|zeroshot_text_weights)"
    r"_m(?P<backbone>[^/_]+)(_k(?P<shots>\d+)|_pt[^/]*)?\.pt"
)


def claims(given: Given) -> bool:
    """Features by SuS-X's names."""
    return any(match["split"] or match["shots"] for match, _ in given.named(ANY))


def read(given: Given) -> Taken:
    """What is of the data set and backbone asked for, or all if it is of one of each."""
    files = list(given.named(ANY))
    for what, asked in (("dataset", given.dataset), ("backbone", given.backbone)):
        there = sorted({match[what] for match, _ in files})
        if len(there) > 1:
            meant = [name for name in there if _same(what, asked, name)]
            if len(meant) != 1:
                raise ImportRefusedError(
                    f"these files are of several {what}s ({', '.join(there)}), and --{what} "
                    f"{asked} is not one of them; give it as it is written there, or single files."
                )
            files = [each for each in files if each[0][what] == meant[0]]
    pairs = [
        (int(match["shots"]), None, path, _labels(given, path))
        for match, path in files
        if match["shots"]
    ]
    taken = _common.keys_and_values(given, pairs)
    arrays: dict[str, NDArray[Any]] = {}
    for match, path in files:
        if match["split"]:
            y = whole_labels(path, given.array(_labels(given, path)))
            put(arrays, f"{match['split']}_labels", y, path)
            x, _ = rows_first(path, given.array(path), len(y))
            put(arrays, f"{match['split']}_features", x, path)
    texts = [path for _, path in files if "_zeroshot_text_weights_" in path.name]
    if texts:
        arrays |= _common.class_vectors(given, texts[0])
    if len(texts) > 1:
        told = f"of {len(texts)} class vectors {texts[0].name} is taken; --text names another."
        taken = replace(taken, remarks=(*taken.remarks, told))
    return _common.with_test(given, replace(taken, arrays=arrays))


def _labels(given: Given, path: Path) -> Path:
    return given.beside(path, re.sub(r"_f_(train|val|test)_m", r"_t_\1_m", path.name))


def _same(what: str, asked: str, name: str) -> bool:
    """Whether two spellings mean the same; a backbone's may have its weights' tag behind it."""
    one, other = (re.sub(r"[^a-z0-9]", "", text.lower()) for text in (asked.split(":")[0], name))
    return one in (other, f"{other}quickgelu") if what == "backbone" else one == other
