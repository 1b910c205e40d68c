"""What readers of lists share: lines of text, and rows of path, label and class name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from featcache.datasets.checks import checked, is_plain, refuse_links_out
from featcache.datasets.dataset import SPLITS, Dataset, Item
from featcache.errors import DatasetError

Row = tuple[str, int, str]  # path below the image folder, label, class name


def read_lines(path: Path) -> list[str]:
    """The lines of a text file that are not empty; DatasetError where there is no such file."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise DatasetError(f"cannot read {path} ({why(error)}); put the file there.") from None
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    for line in lines:
        if not is_plain(line):
            raise DatasetError(f"{path}: the line {line!r} is not plain text; remove it.")
    return lines


def assemble(
    name: str,
    root: Path,
    classnames: tuple[str, ...],
    rows: Mapping[str, Sequence[Row]],
    where: Path,
    templates: Sequence[str],
) -> Dataset:
    """The data set whose pictures below `root` are listed split by split; `where` lists them.

    Raises DatasetError where train or test lists nothing, a path leads out of `root`, and for
    what `checked` refuses.
    """
    for part in ("train", "test"):
        if not rows[part]:
            raise DatasetError(f"{where} lists no {part} pictures; add some.")
    refuse_links_out(root, (path for part in SPLITS for path, _, _ in rows[part]))
    return checked(
        Dataset(
            name=name,
            classnames=classnames,
            splits={
                part: tuple(Item(path, root / path, label) for path, label, _ in rows[part])
                for part in SPLITS
                if rows[part]
            },
            templates=tuple(templates),
        ),
        where,
    )


def why(error: Exception) -> str:
    """The reason of an error without what Python puts around it."""
    return getattr(error, "strerror", None) or str(error)
