"""What somebody gave to be imported: files by their names, opened when a project asks for them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from featcache.errors import ImportRefusedError
from featcache.interchange.files import by_suffix, load
from featcache.interchange.naming import BARE

MOST = 10_000  # files that are looked at in a folder


class Given:
    """Feature files, what was said beside them, and which of them were opened so far.

    `dataset` and `backbone` are as typed.
    """

    def __init__(self, files: Sequence[Path], dataset: str = "", backbone: str = "") -> None:
        """Look for feature files in folders. Raises `ImportRefusedError` where there are none."""
        self.files = found(files)
        self.dataset, self.backbone = dataset, backbone
        self.opened: set[Path] = set()
        self._loaded: dict[Path, dict[str, NDArray[Any]]] = {}

    def named(self, pattern: str) -> Iterator[tuple[re.Match[str], Path]]:
        """The files whose path ends like the pattern, from the start of a name, with the match."""
        for path in self.files:
            # The whole path: what a file is of often stands in the folders above it. Links are not
            # followed, for where files are kept once by their sums they lead to other names.
            if match := re.search(rf"(?:^|/){pattern}$", path.absolute().as_posix()):
                yield match, path

    def has(self, *patterns: str) -> bool:
        """Whether there are files like each of the patterns."""
        return all(any(True for _ in self.named(pattern)) for pattern in patterns)

    def load(self, path: Path) -> dict[str, NDArray[Any]]:
        """The arrays of a file. Raises `ImportRefusedError` where it cannot be read."""
        self.opened.add(path)
        return self._read(path)

    def _read(self, path: Path) -> dict[str, NDArray[Any]]:
        if path not in self._loaded:
            self._loaded[path] = load(path)
        return self._loaded[path]

    def keys(self, path: Path) -> set[str]:
        """Names of the arrays in a file, which is not taken by that; none if it cannot be read."""
        try:
            return set(self._read(path))
        except ImportRefusedError:
            return set()

    def array(self, path: Path) -> NDArray[Any]:
        """The one nameless array of a file. Raises `ImportRefusedError` where it holds others."""
        arrays = self.load(path)
        if set(arrays) != {BARE}:
            raise ImportRefusedError(
                f"{path} holds {', '.join(arrays) or 'nothing'} where one array alone was "
                "expected; give --format with the project that wrote it."
            )
        return arrays[BARE]

    def beside(self, path: Path, name: str) -> Path:
        """The given file of that name in the same folder. Raises `ImportRefusedError` if absent."""
        other = path.with_name(name)
        if other not in self.files:
            raise ImportRefusedError(f"{path} has no {name} beside it; add it, or take both out.")
        return other


def found(files: Sequence[Path]) -> list[Path]:
    """The feature files themselves, and those in folders at any depth, in the order of their names.

    Raises `ImportRefusedError` for a folder without any, or with far too many.
    """
    listed: list[Path] = []
    for path in files:
        if not path.is_dir():
            listed.append(path)
            continue
        inside = sorted(each for each in path.rglob("*") if each.suffix in by_suffix())
        if not inside or len(inside) > MOST:
            told = f"{len(inside)} feature files" if inside else "no feature file"
            raise ImportRefusedError(
                f"{path} holds {told} ({', '.join(by_suffix())}); give the folder of one data set."
            )
        listed += [each for each in inside if each.is_file()]
    return listed
