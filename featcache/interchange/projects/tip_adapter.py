"""Tip-Adapter and APE, with those who keep their layout: LP++'s Tip, TOGA.

`keys_{K}shots.pt` `[d, n]`, the mean of augmented views, normalised; `values_{K}shots.pt` one-hot;
`{val,test}_f.pt` and `_l.pt`; APE's `text_weights_*.pt` `[d, c]`. No file says its seed.
"""

from __future__ import annotations

from dataclasses import replace

from featcache.errors import ImportRefusedError
from featcache.interchange.given import Given
from featcache.interchange.orientation import rows_first, whole_labels
from featcache.interchange.projects._common import (
    class_vectors,
    keys_and_values,
    splits,
    with_test,
)
from featcache.interchange.taken import Taken

KEYS, VIEWS = r"keys_(?P<shots>\d+)shots\.pt", r"\d+_vecs_f(_unnormed)?\.pt"
TEXT = r"text_weights[^/]*\.pt"


def claims(given: Given) -> bool:
    """Keys that lie transposed, and no views beside them, which are TIMO's."""
    return lies_transposed(given) is True


def lies_transposed(given: Given) -> bool | None:
    """Whether the keys are `[d, n]`; None where there are none of this name, or no telling."""
    if given.has(VIEWS):
        return None
    for match, path in given.named(KEYS):
        try:
            values = given.beside(path, f"values_{match['shots']}shots.pt")
            keys = given.array(path)
            if keys.ndim == 3:
                return False
            return rows_first(path, keys, len(whole_labels(values, given.array(values))))[1]
        except ImportRefusedError:
            continue
    return None


def read(given: Given) -> Taken:
    """Support sets, val and test, and class vectors where there are some."""
    pairs = [
        (int(match["shots"]), None, path, given.beside(path, f"values_{match['shots']}shots.pt"))
        for match, path in given.named(KEYS)
    ]
    taken = keys_and_values(given, pairs)
    arrays = splits(given, r"(?P<split>val|test)_f\.pt", "{split}_l.pt")
    vectors = [path for _, path in given.named(TEXT)]
    if len(vectors) == 1:
        arrays |= class_vectors(given, vectors[0])
    elif vectors:
        told = f"of several class vectors none is taken ({vectors[0].name}, …); name one by --text."
        taken = replace(taken, remarks=(*taken.remarks, told))
    return with_test(given, replace(taken, arrays=arrays))
