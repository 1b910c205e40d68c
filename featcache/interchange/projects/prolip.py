"""ProLIP: what stands before the last projection, a file for each view of each draw.

`features_{bb}_{ds}/{K}_shot/seed{s}/f{v}.pth` `[n, p]` and `label.pth` `[n]`, which was written for
view 0. The backbone's own projection makes embeddings of them.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np

from featcache.errors import ImportRefusedError
from featcache.interchange.given import Given
from featcache.interchange.orientation import check_views, whole_labels
from featcache.interchange.projects import _common
from featcache.interchange.taken import SINGLE, STACKED, Drawn, Taken

VIEW = r"(?P<shots>\d+)_shot/seed(?P<seed>\d+)/f(?P<view>\d+)\.pth"
SEVERAL = "of several data sets or backbones; give one of the folders features_…"


def claims(given: Given) -> bool:
    """Views in folders by shots and seed."""
    return given.has(VIEW)


def read(given: Given) -> Taken:
    """Views of each draw, checked to be of the same pictures in the same order."""
    folders: dict[Path, tuple[int, int, dict[int, Path]]] = {}
    views: dict[Path, dict[int, Path]] = defaultdict(dict)
    for match, path in given.named(VIEW):
        views[path.parent][int(match["view"])] = path
        folders[path.parent] = (int(match["shots"]), int(match["seed"]), views[path.parent])
    drawn = []
    for folder, (shots, seed, files) in folders.items():
        if sorted(files) != list(range(len(files))):
            raise ImportRefusedError(
                f"{folder} holds views {', '.join(map(str, sorted(files)))}; they must run from 0, "
                "as the labels are those of view 0."
            )
        first = files[0]
        labels_at = given.beside(first, "label.pth")
        labels = whole_labels(labels_at, given.array(labels_at))
        arrays = [given.array(files[number]) for number in range(len(files))]
        shapes = {x.shape for x in arrays}
        if len(shapes) > 1 or arrays[0].ndim != 2 or len(arrays[0]) != len(labels):
            raise ImportRefusedError(
                f"{folder}: views {', '.join(str(list(s)) for s in sorted(shapes))} and "
                f"{len(labels)} labels do not fit each other."
            )
        x = np.stack(arrays)
        check_views(folder, x, labels)
        drawn.append(Drawn(shots, seed, x, labels, pre=True))
    stacked = any(len(each.features) > 1 for each in drawn)
    return Taken({}, _common.unlike(drawn), STACKED if stacked else SINGLE)
