"""What the caches of Tip-Adapter and its heirs share: keys and values, pairs, class vectors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from featcache.errors import ImportRefusedError
from featcache.interchange.given import Given
from featcache.interchange.orientation import rows_first, whole_labels
from featcache.interchange.taken import MEAN, Drawn, Taken, put

AVERAGED = (
    "the support is the mean of augmented views, normalised: single views and lengths are lost."
)


def keys_and_values(given: Given, pairs: Iterable[tuple[int, int | None, Path, Path]]) -> Taken:
    """Support sets of files `[d, n]` and one-hot `[n, c]`, given with shots and seed.

    Raises `ImportRefusedError` where two files hold the same set, where keys do not fit their
    values, or one-hot rows are of different widths.
    """
    drawn: list[Drawn] = []
    widths: dict[int, Path] = {}
    transposed = False
    for shots, seed, keys, values in pairs:
        one_hot = given.array(values)
        if one_hot.ndim == 2 and one_hot.shape[1] > 1:
            widths[one_hot.shape[1]] = values
        labels = whole_labels(values, one_hot)
        x, turned = rows_first(keys, given.array(keys), len(labels))
        transposed |= turned
        drawn.append(Drawn(shots, seed, x[None], labels))
    if len(widths) > 1:
        told = " and ".join(f"{width} in {path.name}" for width, path in widths.items())
        raise ImportRefusedError(
            f"the one-hot labels tell of different numbers of classes: {told}; give the files of "
            "one data set."
        )
    told_classes = next(iter(widths), None)
    return Taken({}, unlike(drawn), MEAN, transposed, (AVERAGED,), classes=told_classes)


def unlike(drawn: Iterable[Drawn]) -> tuple[Drawn, ...]:
    """The sets in order of shots and seed. Raises `ImportRefusedError` where one is there twice."""
    found: dict[tuple[int, int, str], Drawn] = {}
    for each in drawn:
        key = (each.shots, -1 if each.seed is None else each.seed, each.part)
        if key in found:
            raise ImportRefusedError(
                f"several files hold the support of {each.shots} shots"
                f"{'' if each.seed is None else f' and seed {each.seed}'}; give the folder of one "
                "data set, backbone and setting."
            )
        found[key] = each
    return tuple(each for _, each in sorted(found.items(), key=lambda item: item[0]))


def splits(given: Given, pattern: str, labels: str) -> dict[str, NDArray[Any]]:
    """Features and labels of the splits whose files match; `(?P<split>)` names each.

    `labels` is the name of the other file, with `{split}` and other groups of the pattern to be
    filled in. Raises `ImportRefusedError` where labels are missing or of another length.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for match, path in given.named(pattern):
        split = match["split"]
        other = given.beside(path, labels.format(**match.groupdict()))
        y = whole_labels(other, given.array(other))
        x, _ = rows_first(path, given.array(path), len(y))
        put(arrays, f"{split}_features", x, path)
        put(arrays, f"{split}_labels", y, other)
    return arrays


def class_vectors(given: Given, path: Path) -> dict[str, NDArray[Any]]:
    """Pooled class vectors `[d, c]` as text features `[c, d]`."""
    x = given.array(path)
    if x.ndim != 2:
        raise ImportRefusedError(f"{path} is {list(x.shape)}, not class vectors [d, classes].")
    return {"text_features": x.T}


def with_test(given: Given, taken: Taken) -> Taken:
    """ImageNet has no other test set than what is called val in these caches."""
    arrays = dict(taken.arrays)
    if not given.dataset.lower().startswith("imagenet") or "test_features" in arrays:
        return taken
    for what in ("features", "labels"):
        if f"val_{what}" in arrays:
            arrays[f"test_{what}"] = arrays.pop(f"val_{what}")
    told = "what the files call val are ImageNet's test pictures, and is taken as test."
    return replace(taken, arrays=arrays, remarks=(*taken.remarks, told))
