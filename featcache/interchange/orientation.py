"""Which axis is which: features that lie transposed, labels as one-hot rows, view after view."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from featcache.errors import ImportRefusedError
from featcache.interchange.rows import portions

ROUNDED = 5e-3  # by which lengths of unit vectors differ from 1 in half precision
AGREE = (
    0.5  # cosine of class means, seen from the mean of all, that views of the same pictures have
)


def rows_first(what: object, x: NDArray[Any], rows: int) -> tuple[NDArray[Any], bool]:
    """Features `[n, d]` of that many rows, and whether they lay as `[d, n]`.

    Unit lengths tell where n = d. Raises `ImportRefusedError` where neither axis fits, or both.
    """
    if x.ndim != 2 or rows not in x.shape:
        raise ImportRefusedError(
            f"{what} is {list(x.shape)}, and none of its axes is as long as the {rows} labels; "
            "give features and labels of the same pictures."
        )
    if x.shape[0] != x.shape[1]:
        return (x, False) if x.shape[0] == rows else (x.T, True)
    lengths = [_off(x), _off(x.T)]
    if (lengths[0] < ROUNDED) == (lengths[1] < ROUNDED):
        raise ImportRefusedError(
            f"{what} is {list(x.shape)}, and nothing tells which axis are the pictures; save it "
            "anew as [n, d] under a name such as train_features.npy."
        )
    return (x, False) if lengths[0] < ROUNDED else (x.T, True)


def is_unit(x: NDArray[Any]) -> bool:
    """Whether all rows of `x [..., d]` have length 1, to half precision."""
    return _off(x.reshape(-1, x.shape[-1])) < ROUNDED


def _off(x: NDArray[Any]) -> float:
    if x.dtype.kind != "f" or not x.size:
        return np.inf
    return max(
        float(np.abs(np.linalg.norm(part.astype(np.float32), axis=1) - 1).max())
        for part in portions(x)
    )


def whole_labels(what: object, labels: NDArray[Any]) -> NDArray[Any]:
    """Labels `[n]`, of one-hot rows `[n, c]` too.

    Raises `ImportRefusedError` for rows with anything but one 1.
    """
    if labels.ndim != 2 or labels.shape[1] == 1 or not labels.size:
        return labels.reshape(-1)
    one = labels == 1
    if not ((labels == 0) | one).all() or not (one.sum(1) == 1).all():
        raise ImportRefusedError(
            f"{what} is {list(labels.shape)}, but not every row has one 1 and else zeros; give "
            "labels as one-hot rows or as whole numbers."
        )
    return np.asarray(one.argmax(1))


def view_after_view(
    what: object, x: NDArray[Any], labels: NDArray[Any], shots: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Features `[v, n, d]` and labels `[n]` of `[v n, d]` with as many labels, view after view.

    Raises `ImportRefusedError` where classes have more rows than shots, but in another order.
    """
    total = len(labels)
    if x.ndim != 2 or len(x) != total or not total:
        raise ImportRefusedError(f"{what} is {list(x.shape)}, but there are {total} labels.")
    _, counts = np.unique(labels, return_counts=True)
    views = max(1, int(counts.max()) // shots)
    n, rest = divmod(total, views)
    tiled = not rest and bool((labels.reshape(views, n) == labels[:n]).all())
    if int(counts.max()) % shots or not tiled:
        raise ImportRefusedError(
            f"{what}: a class has {counts.max()} rows for {shots} shots, but the labels do not "
            "repeat view after view, so views of one picture cannot be told; save it with shuffle "
            "off."
        )
    return x.reshape(views, n, x.shape[1]), labels[:n]


def check_views(what: object, x: NDArray[Any], labels: NDArray[Any]) -> None:
    """Raise `ImportRefusedError` where views `[v, n, d]` are of other pictures than view 0.

    The class means of a view point where those of view 0 do, seen from the mean of all.
    """
    if x.dtype.kind != "f" or 0 in x.shape:
        raise ImportRefusedError(f"{what}: views are {x.dtype} {list(x.shape)}, not [v, n, d].")
    means = [_class_means(view.astype(np.float64), labels) for view in x]
    for number, mean in enumerate(means[1:], 1):
        cosine = (means[0] * mean).sum(1)
        if len(cosine) > 1 and np.median(cosine) < AGREE:
            raise ImportRefusedError(
                f"{what}: view {number} is in another order than view 0 (class means agree to "
                f"{np.median(cosine):.2f} where 1 is the same), so its labels are not known; save "
                "the views with shuffle off."
            )


def _class_means(x: NDArray[np.float64], labels: NDArray[Any]) -> NDArray[np.float64]:
    means = np.stack([x[labels == label].mean(0) for label in np.unique(labels)])
    centred = means - means.mean(0)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.asarray(centred / np.maximum(lengths, 1e-12))
