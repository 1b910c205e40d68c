"""ProKeR and ReHARK: views of the support with the seed in the name, other features in dicts.

`…_shots_s{seed}_k{K}.pt` holds `vecs` `[v n, d]`, view after view, and `labels`; another file holds
`features` and `labels` of the test pictures, or of those that its name says.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from featcache.errors import ImportRefusedError
from featcache.interchange.given import Given
from featcache.interchange.orientation import check_views, view_after_view, whole_labels
from featcache.interchange.projects import _common
from featcache.interchange.taken import STACKED, Drawn, Taken, put

SHOTS = r"[^/]*_shots_s(?P<seed>\d+)_k(?P<shots>\d+)\.pt"
SUPPORT, PAIR = {"vecs", "labels"}, {"features", "labels"}


def claims(given: Given) -> bool:
    """A support by its name."""
    return given.has(SHOTS)


def read(given: Given) -> Taken:
    """Views of each support, and the splits beside them."""
    drawn, arrays = [], dict[str, NDArray[Any]]()
    for match, path in given.named(SHOTS):
        held, shots = given.load(path), int(match["shots"])
        if set(held) != SUPPORT:
            raise ImportRefusedError(f"{path} holds {', '.join(held)}, not vecs and labels.")
        labels = whole_labels(path, held["labels"])
        x, labels = view_after_view(path, held["vecs"], labels, shots)
        check_views(path, x, labels)
        drawn.append(Drawn(shots, int(match["seed"]), x, labels))
    supports = {path for _, path in given.named(SHOTS)}
    for path in given.files:
        if path not in supports and given.keys(path) == PAIR:
            for what, array in given.load(path).items():
                put(arrays, f"{_split(path)}_{what}", array, path)
    stacked = any(len(each.features) > 1 for each in drawn)
    return Taken(arrays, _common.unlike(drawn), STACKED if stacked else "none")


def _split(path: Path) -> str:
    found = re.findall("train|val|test", path.stem.lower())
    return found[-1] if found else "test"
