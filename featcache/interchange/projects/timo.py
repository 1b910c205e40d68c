"""TIMO: every view of the support, view after view, and prompts one by one.

`{backbone}/{seed}/<dataset>/{K}_vecs_f.pt` `[v n, d]` with `{K}_labels_f.pt`; `{val,test}_f.pt` and
`_l.pt`; `text_weights_cupl_t_all.pt` `[c, p, d]`, or `text_weights_t.pt` `[d, c]`. Twins ending in
`_unnormed` hold the raw lengths and are taken first.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featcache.errors import ImportRefusedError
from featcache.interchange.given import Given
from featcache.interchange.orientation import check_views, view_after_view, whole_labels
from featcache.interchange.projects import _common
from featcache.interchange.taken import STACKED, Drawn, Taken

VIEWS, RAW = r"(?P<shots>\d+)_vecs_f\.pt", "_unnormed"


def claims(given: Given) -> bool:
    """Views by TIMO's name."""
    return given.has(VIEWS) or given.has(VIEWS.replace(r"\.", rf"{RAW}\."))


def read(given: Given) -> Taken:
    """Views of each support, val and test, and the prompts that are kept one by one."""
    raw = RAW if _all_raw(given) else ""
    drawn = []
    for match, path in given.named(VIEWS.replace(r"\.", rf"{raw}\.")):
        shots, other = int(match["shots"]), given.beside(path, f"{match['shots']}_labels_f.pt")
        labels = whole_labels(other, given.array(other))
        x, labels = view_after_view(path, given.array(path), labels, shots)
        check_views(path, x, labels)
        drawn.append(Drawn(shots, _seed(path.absolute().as_posix()), x, labels))
    arrays = _common.splits(given, rf"(?P<split>val|test)_f{raw}\.pt", "{split}_l.pt")
    remarks = (f"the files ending in {RAW} are taken, as they keep lengths.",) if raw else ()
    every = Taken(arrays | _text(given), _common.unlike(drawn), STACKED, remarks=remarks)
    return _common.with_test(given, every)


def _all_raw(given: Given) -> bool:
    """Whether all that is taken has its raw twin: half of them would be of two kinds."""
    plain = [VIEWS, r"(val|test)_f\.pt"]
    return all(
        path.with_name(f"{path.stem}{RAW}.pt") in given.files
        for pattern in plain
        for _, path in given.named(pattern)
    )


def _seed(path: str) -> int | None:
    """The seed in `.../{seed}/<dataset>/file`; None where the folder is no number."""
    match = re.search(r"/(\d+)/[^/]+/[^/]+$", path)
    return int(match[1]) if match else None


def _text(given: Given) -> dict[str, NDArray[Any]]:
    for _, path in given.named(r"text_weights_cupl_t_all\.pt"):
        x = given.array(path)
        if x.ndim != 3:
            raise ImportRefusedError(f"{path} is {list(x.shape)}, not [classes, prompts, d].")
        # Named, for where there are as many prompts as classes the axes could not be told.
        prompts = [f"unknown prompt {i}" for i in range(x.shape[1])]
        return {"text_features": x, "prompts": np.array([prompts] * len(x))}
    for _, path in given.named(r"text_weights(_cupl|_gpt)?(_t)?\.pt"):
        return _common.class_vectors(given, path)
    return {}
