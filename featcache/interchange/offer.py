"""What somebody's files offer: of which project they are, what would be taken, what is unknown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from featcache.errors import FeatcacheError, ImportRefusedError
from featcache.interchange import class_list, supports
from featcache.interchange.arrays import Checked, check
from featcache.interchange.files import load
from featcache.interchange.given import Given
from featcache.interchange.orientation import rows_first
from featcache.interchange.recognition import project, recognise
from featcache.interchange.taken import Taken
from featcache.interchange.text import read_text


@dataclass(frozen=True)
class Said:
    """What people say beside the files: whose they are, class names, text, the seed of supports."""

    format: str | None = None
    classes: Path | None = None
    text: Path | None = None
    seed: int | None = None

    @property
    def files(self) -> list[Path]:
        """The files among it."""
        return [path for path in (self.classes, self.text) if path is not None]

    @property
    def words(self) -> str:
        """The rest of it, empty where nothing was said."""
        named = {"format": self.format, "seed": self.seed}
        return " ".join(f"{key}={value}" for key, value in named.items() if value is not None)


@dataclass(frozen=True)
class Offer:
    """What would be taken of which files; `unknown` is what must be said yet, and how.

    `left` names files and arrays that are not taken.
    """

    project: str
    taken: Taken
    files: tuple[Path, ...]
    left: tuple[str, ...]
    unknown: tuple[str, ...]

    def checked(self) -> tuple[Checked, Taken]:
        """The arrays checked, and what was taken with what the check found out.

        Raises `ImportRefusedError` where something is unknown, or cannot be used.
        """
        if self.unknown:
            raise ImportRefusedError(
                f"these are feature files of the format {self.project}, which do not say "
                f"{', nor '.join(self.unknown)}."
            )
        found = check(self.taken.arrays, supports=bool(self.taken.supports))
        classes = len(found.classnames)
        if self.taken.classes not in (None, classes):
            raise ImportRefusedError(
                f"one-hot labels tell of {self.taken.classes} classes, but {classes} are named; "
                "give the class list that the features were made with."
            )
        said = supports.check(self.taken.supports, classes, found.width)
        return found, replace(self.taken, remarks=(*self.taken.remarks, *said))

    def described(self) -> dict[str, Any]:
        """It as a document: shapes, types, and what is unknown or left."""
        arrays = self.taken.arrays
        names = arrays.get("classnames")
        return {
            "format": self.project,
            "taken": {
                key: f"{x.dtype} {list(x.shape)}"
                for key, x in arrays.items()
                if x.dtype.kind != "U"
            },
            "supports": {
                each.name: f"{each.features.dtype} {list(each.features.shape)}"
                + (" before the projection" if each.pre else "")
                for each in self.taken.supports
            },
            "classes": None if names is None else len(names),
            "views": self.taken.views,
            "transposed": self.taken.transposed,
            "remarks": list(self.taken.remarks),
            "unknown": list(self.unknown),
            "files": [str(path) for path in self.files],
            "left": list(self.left),
        }


def look(files: Sequence[Path], dataset: str, backbone: str, said: Said) -> Offer:
    """Recognise the files and read what can be taken of them.

    Raises `ImportRefusedError` where they contradict the format, or cannot be read safely.
    """
    given = Given(files, dataset, backbone)
    try:
        return _look(given, said)
    except FeatcacheError:
        raise
    except Exception as error:  # files of strangers: almost anything may be wrong with them
        names = ", ".join(sorted(path.name for path in given.opened)[:3])
        raise ImportRefusedError(
            f"{names}: the arrays are not what their names promise ({error}); "
            "`featcache import --dry-run --format plain` shows them."
        ) from None


def _look(given: Given, said: Said) -> Offer:
    name = said.format or recognise(given)
    given.opened.clear()
    taken = project(name).read(given).seeded(said.seed)
    arrays = dict(taken.arrays)
    if said.classes is not None:
        arrays["classnames"] = np.array(class_list.read(said.classes))
    classes = len(arrays["classnames"]) if "classnames" in arrays else None
    if said.text is not None and classes is not None:
        arrays |= _text(said.text, classes, arrays)
    elif "text_features" in arrays and classes is not None:
        x = arrays["text_features"]
        if x.ndim == 2 and len(x) != classes and x.shape[1] == classes:  # [d, c]
            arrays["text_features"] = rows_first("text_features", x, classes)[0]
    opened = [path for path in given.files if path in given.opened]
    closed = [path.name for path in given.files if path not in given.opened]
    whole = replace(taken, arrays=arrays)
    return Offer(
        name,
        whole,
        (*opened, *said.files),
        (*closed, *taken.left),
        tuple(_unknown(whole)),
    )


def _text(path: Path, classes: int, arrays: dict[str, Any]) -> dict[str, Any]:
    found = read_text(path, load(path), classes)
    arrays.pop("prompts", None)
    found.pop("classnames", None)
    return found


def _unknown(taken: Taken) -> list[str]:
    told = []
    if "classnames" not in taken.arrays:
        told.append("what the classes are called (give --classes FILE, one a line by label)")
    if taken.seedless:
        told.append("with which seed the support was drawn (give --seed)")
    return told
