"""Named arrays in files: which format a suffix means, and refusals in words for people."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Protocol, cast

from numpy.typing import NDArray

from featcache.catalogue import load as load_module
from featcache.catalogue import modules
from featcache.errors import CacheError, ImportRefusedError
from featcache.files import beside
from featcache.interchange import formats


class Format(Protocol):
    """What a module of `featcache.interchange.formats` holds."""

    SUFFIXES: tuple[str, ...]

    def load(self, path: Path) -> dict[str, NDArray[Any]]:
        """All arrays of a file, text as arrays of strings. Runs nothing that the file holds."""

    def save(
        self, path: Path, arrays: Mapping[str, NDArray[Any]], named: Mapping[str, list[Any]]
    ) -> None:
        """Write arrays of numbers, and (nested) lists of text under their names."""


@cache
def by_suffix() -> dict[str, Format]:
    """Each format by the suffixes of its files, in the order of the formats' names."""
    names = modules(Path(formats.__path__[0]))
    found = [cast(Format, load_module(formats.__name__, name)) for name in names]
    return {suffix: each for each in found for suffix in each.SUFFIXES}


def load(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a file, by name.

    Raises `ImportRefusedError` where it does not exist, has another suffix, or cannot be read.
    """
    if path.suffix not in by_suffix():
        raise ImportRefusedError(f"{path}: only {' and '.join(by_suffix())} files are taken in.")
    try:
        return by_suffix()[path.suffix].load(path)
    except FileNotFoundError:
        raise ImportRefusedError(f"{path} does not exist.") from None
    except ImportRefusedError:
        raise
    except Exception as error:  # files of strangers: almost anything may be wrong with them
        raise ImportRefusedError(
            f"{path} cannot be read as {path.suffix[1:]} without pickles: {error}."
        ) from None


def save(path: Path, arrays: Mapping[str, NDArray[Any]], named: Mapping[str, list[Any]]) -> None:
    """Write arrays and text to a file in one step: all of it is there, or what was there before.

    Raises `ImportRefusedError` for another suffix, `CacheError` where the disk refuses.
    """
    if path.suffix not in by_suffix():
        raise ImportRefusedError(f"{path}: give a name that ends in {' or '.join(by_suffix())}.")
    try:
        with beside(path) as draft:
            by_suffix()[path.suffix].save(draft, arrays, named)
    except ValueError as error:
        raise ImportRefusedError(
            f"{path}: {str(error).rstrip('.')}; give another name, such as one in .npz."
        ) from None
    except NotADirectoryError:
        raise CacheError(
            f"cannot write {path}: a folder on the way is a file; choose another place."
        ) from None
