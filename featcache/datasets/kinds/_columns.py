"""Which column of a table is what: picture, number or name of its class, split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from featcache.datasets.checks import few
from featcache.errors import DatasetError

PICTURE = (
    *("path", "file", "filename", "file_name", "filepath", "file_path"),
    *("image", "img", "image_path", "image_file", "picture"),
)
LABEL = ("label", "labels", "target", "label_id", "class_id", "class_index", "fine_label")
CLASS = ("class", "class_name", "classname", "category", "label_name")
SPLIT = ("split", "subset", "set", "partition")


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of the columns; empty where there is none of a kind. A label or a class is there."""

    picture: str
    label: str
    classname: str
    split: str


def columns(found: Sequence[str], where: str) -> Columns:
    """The columns by their names, in any case.

    Raises DatasetError, with what was found, where none is the picture or none its class, and
    where two could be.
    """
    picture = _only(found, PICTURE, where)
    label, classname = _only(found, LABEL, where), _only(found, CLASS, where)
    if not picture or not (label or classname):
        lacks = "picture" if not picture else "class"
        known = PICTURE if not picture else (*LABEL[:2], *CLASS[:2])
        raise DatasetError(
            f"{where} has no column for the {lacks}; it has {few(list(found)) or 'none'}, and one "
            f"of them has to be called {known[0]} (or {', '.join(known[1:4])} …)."
        )
    return Columns(picture, label, classname, _only(found, SPLIT, where))


def _only(found: Sequence[str], known: Sequence[str], where: str) -> str:
    alike = [name for name in found if name.strip().casefold() in known]
    if len(alike) > 1:
        raise DatasetError(
            f"{where} has the columns {few(alike)}, which say the same thing; rename all but one."
        )
    return alike[0] if alike else ""
