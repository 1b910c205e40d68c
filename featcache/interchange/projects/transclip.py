"""TransCLIP: Tip-Adapter's file names, but pictures first and views kept: `[v, n, d]` or `[n, d]`.

`keys_{K}shots.pt` has one view where there was one pass, or a mean; several views stand one after
the other.
"""

from __future__ import annotations

from dataclasses import replace

from featcache.errors import ImportRefusedError
from featcache.interchange.given import Given
from featcache.interchange.orientation import check_views, rows_first, whole_labels
from featcache.interchange.projects import _common
from featcache.interchange.taken import MEAN, STACKED, Drawn, Taken

KEYS = r"keys_(?P<shots>\d+)shots\.pt"
ONE = "the support has one view: one augmented pass, or the mean of several; no file says which."


def claims(given: Given) -> bool:
    """Keys of which the pictures, or the views, come first."""
    for match, path in given.named(KEYS):
        try:
            values = given.beside(path, f"values_{match['shots']}shots.pt")
            keys, rows = given.array(path), len(given.array(values))
            return keys.ndim == 3 or not rows_first(path, keys, rows)[1]
        except ImportRefusedError:
            continue
    return False


def read(given: Given) -> Taken:
    """Support sets with their views, val and test."""
    drawn, widths = [], set()
    for match, path in given.named(KEYS):
        values = given.beside(path, f"values_{match['shots']}shots.pt")
        one_hot, keys = given.array(values), given.array(path)
        labels = whole_labels(values, one_hot)
        x = keys if keys.ndim == 3 else rows_first(path, keys, len(labels))[0][None]
        if x.shape[1] != len(labels):
            raise ImportRefusedError(
                f"{path} is {list(keys.shape)}, but {values.name} has {len(labels)} rows."
            )
        check_views(path, x, labels)
        widths |= {one_hot.shape[1]} if one_hot.ndim == 2 else set()
        drawn.append(Drawn(int(match["shots"]), None, x, labels))
    stacked = any(len(each.features) > 1 for each in drawn)
    arrays = _common.splits(given, r"(?P<split>val|test)_f\.pt", "{split}_l.pt")
    taken = Taken(
        arrays,
        _common.unlike(drawn),
        STACKED if stacked else MEAN,
        remarks=() if stacked else (ONE,),
        classes=widths.pop() if len(widths) == 1 else None,
    )
    vectors = [path for _, path in given.named(r"text_weights[^/]*\.pt")]
    if len(vectors) == 1:
        taken = replace(taken, arrays=arrays | _common.class_vectors(given, vectors[0]))
    return _common.with_test(given, taken)
