"""Which pictures a command line means: files, folders, patterns, and lists of them in a file."""

from __future__ import annotations

import glob
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from featcache.errors import FeatcacheError

STANDARD_INPUT = "-"


def asked(words: Sequence[str], suffixes: Sequence[str], listed: str | None = None) -> list[Path]:
    """The pictures that are meant, in the order of the words, then of the lines of a list.

    Of a folder those whose names end in one of the `suffixes`; what is named itself is tried.
    Raises `FeatcacheError` where a folder or pattern holds none, the list cannot be read, or there
    is nothing at all.
    """
    lines = _lines(listed) if listed is not None else []
    found = [path for word in (*words, *lines) for path in _meant(word, suffixes)]
    if not found:
        raise FeatcacheError("no pictures are given; name files, folders or patterns, or --list.")
    return found


def _meant(word: str, suffixes: Sequence[str]) -> Iterator[Path]:
    path = Path(word)
    if path.is_dir():
        yield from _within(path, suffixes)
    elif not path.exists() and glob.has_magic(word):
        matching = sorted(glob.glob(word, recursive=True))  # noqa: PTH207, of an absolute one too
        if not matching:
            raise FeatcacheError(f"nothing is called {word}; mend the pattern.")
        for name in matching:
            inside = Path(name).is_dir()
            yield from _within(Path(name), suffixes) if inside else (Path(name),)
    else:  # one that is missing is a picture that cannot be read
        yield path


def _within(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in suffixes)
    if not found:
        raise FeatcacheError(f"the folder {folder} holds no pictures ({', '.join(suffixes)}).")
    return found


def _lines(listed: str) -> list[str]:
    """The lines of a list that are not empty; `-` is standard input."""
    try:
        if listed == STANDARD_INPUT:
            return [line.strip() for line in sys.stdin if line.strip()]
        text = Path(listed).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise FeatcacheError(f"the list {listed} cannot be read: {reason}.") from None
    return [line.strip() for line in text.splitlines() if line.strip()]
