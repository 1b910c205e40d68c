"""Proto-CLIP: Tip-Adapter's keys under other names, sorted by class.

`K-{K}/aug/visual_mb_{keys,values}_aug_{V}_{K}_shots.pt`, `K-{K}/{val,test}_{features,labels}.pt`.
"""

from __future__ import annotations

from dataclasses import replace

from featcache.interchange.given import Given
from featcache.interchange.projects import _common
from featcache.interchange.taken import Taken

KEYS = r"visual_mb_keys_aug_(?P<views>\d+)_(?P<shots>\d+)_shots\.pt"


def claims(given: Given) -> bool:
    """A memory bank by its name."""
    return given.has(KEYS)


def read(given: Given) -> Taken:
    """Support sets, val and test; text is learnt there, so that none is taken."""
    pairs = [
        (int(match["shots"]), None, path, given.beside(path, path.name.replace("keys", "values")))
        for match, path in given.named(KEYS)
    ]
    arrays = _common.splits(given, r"(?P<split>val|test)_features\.pt", "{split}_labels.pt")
    taken = _common.keys_and_values(given, pairs)
    return _common.with_test(given, replace(taken, arrays=arrays))
