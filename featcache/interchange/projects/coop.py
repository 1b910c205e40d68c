"""CoOp's linear probe: raw features of all splits, a file each.

`clip_feat/<DatasetName>/{train,val,test}.npz` hold `feature_list` `[n, d]` and `label_list` `[n]`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from featcache.interchange.given import Given
from featcache.interchange.taken import Taken, put

SPLIT, KEYS = r"(?P<split>train|val|test)\.npz", {"feature_list", "label_list"}


def claims(given: Given) -> bool:
    """Splits with CoOp's two lists and nothing else."""
    return any(given.keys(path) == KEYS for _, path in given.named(SPLIT))


def read(given: Given) -> Taken:
    """Every split that is there."""
    arrays: dict[str, NDArray[Any]] = {}
    for match, path in given.named(SPLIT):
        held = given.load(path)
        if set(held) == KEYS:
            # Doubles that were single precision before they became numbers of Python.
            x = held["feature_list"].astype(np.float32)
            put(arrays, f"{match['split']}_features", x, path)
            put(arrays, f"{match['split']}_labels", held["label_list"], path)
    return Taken(arrays)
