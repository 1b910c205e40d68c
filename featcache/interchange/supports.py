"""Whether support sets can be used: of known classes, with no more pictures than they say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from featcache.errors import ImportRefusedError
from featcache.interchange import rows
from featcache.interchange.taken import TRAIN, VAL, Drawn


def check(drawn: Sequence[Drawn], classes: int, width: int) -> tuple[str, ...]:
    """What people should know of these sets; features of `width` numbers unless that is 0.

    Raises `ImportRefusedError` for labels out of range, more pictures of a class than shots, other
    widths, and rows that cannot be used.
    """
    said: list[str] = []
    for each in drawn:
        _check_arrays(each, classes)
        if not each.pre and width and each.features.shape[-1] != width:
            raise ImportRefusedError(
                f"support {each.name} is {each.features.shape[-1]} wide and other features "
                f"{width}; both must come from the same backbone."
            )
        flat = each.features.reshape(-1, each.features.shape[-1])
        rows.check(f"support {each.name}", flat)
        counts = np.bincount(each.labels.astype(np.int64), minlength=classes)
        if counts.max() > each.shots:
            raise ImportRefusedError(
                f"support {each.name}: class {counts.argmax()} has {counts.max()} pictures for "
                f"{each.shots} shots; if they are views, they lie in no order that is known."
            )
        if each.part == TRAIN and (short := int((counts < each.shots).sum())):
            said.append(f"support {each.name}: {short} classes have fewer than {each.shots}.")
    if any((np.diff(d.labels.astype(np.int64)) >= 0).all() for d in drawn if d.part != VAL):
        said.append("the support is sorted by class.")
    return tuple(said)


def _check_arrays(each: Drawn, classes: int) -> None:
    x, y = each.features, each.labels
    fits = x.ndim == 3 and x.dtype.kind == "f" and y.shape == x.shape[1:2] and 0 not in x.shape
    if not fits or y.dtype.kind not in "iuf" or (y != np.round(y)).any():
        raise ImportRefusedError(
            f"support {each.name} is {x.dtype} {list(x.shape)} with labels {y.dtype} "
            f"{list(y.shape)}, which are no floating features with a whole number each."
        )
    if y.min() < 0 or y.max() >= classes:
        raise ImportRefusedError(
            f"support {each.name}: labels run from {y.min()} to {y.max()}, but there are {classes} "
            "class names."
        )
    if each.ids is not None and len(each.ids) != len(y):
        raise ImportRefusedError(f"support {each.name}: {len(each.ids)} paths for {len(y)} rows.")
