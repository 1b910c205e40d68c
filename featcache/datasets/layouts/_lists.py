"""What readers of lists share: lines of text, and rows of path, label and class name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

from featcache.datasets.checks import (
    as_spelt,
    checked,
    exists,
    is_plain,
    nfc,
    read_text,
    refuse_odd_files,
)
from featcache.datasets.dataset import SPLITS, Dataset, Item
from featcache.errors import DatasetError

Row = tuple[str, int, str]  # path below the image folder, label, class name


def read_lines(path: Path, tabs: bool = False) -> list[str]:
    """The lines of a text file that are not empty; DatasetError where there is no such file.

    Of lines that may have `tabs`, these are spaces.
    """
    try:
        text = read_text(path)
    except (OSError, ValueError) as error:
        raise DatasetError(f"cannot read {path} ({why(error)}); put the file there.") from None
    text = text.replace("\t", " ") if tabs else text
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
    follow_links: bool = False,
) -> Dataset:
    """The data set whose pictures below `root` are listed split by split; `where` lists them.

    Ids are the listed paths in composed letters, whichever way the files are spelt. Raises
    DatasetError where train or test lists nothing, a path leads out of `root` (but for links that
    are to be followed) or is no file, and for what `checked` refuses.
    """
    for part in ("train", "test"):
        if not rows[part]:
            raise DatasetError(f"{where} lists no {part} pictures; add some.")
    spelt = {part: [as_spelt(root, path) for path, _, _ in rows[part]] for part in SPLITS}
    refuse_odd_files(root, chain(*spelt.values()), follow_links)
    return checked(
        Dataset(
            name=name,
            classnames=classnames,
            splits={
                part: tuple(
                    Item(nfc(path), root / found, label)
                    for (path, label, _), found in zip(rows[part], spelt[part], strict=True)
                )
                for part in SPLITS
                if rows[part]
            },
            templates=tuple(templates),
        ),
        where,
    )


def placed(top: Path, paths: Sequence[str], follow_links: bool) -> list[tuple[str, Path]]:
    """Ids and files of paths that start from `top`, or from a folder in it if they lie there.

    Raises DatasetError where one of them is no file, or behind a link that is not to be followed.
    """
    inner = sorted(p.name for p in top.iterdir() if p.is_dir() and not p.name.startswith("."))
    some = paths[:: max(1, len(paths) // 20)]

    def held(images: str) -> int:
        root = top / images
        return sum(exists(root / as_spelt(root, path)) for path in some)

    root = top / max((".", *inner), key=held)
    spelt = [as_spelt(root, path) for path in paths]
    refuse_odd_files(root, spelt, follow_links)
    return [(nfc(path), root / path) for path in spelt]


def why(error: Exception) -> str:
    """The reason of an error without what Python puts around it."""
    return getattr(error, "strerror", None) or str(error)
