"""Nested contents of a file as flat, named arrays, the one form in which they are read.

A tensor alone is called `array`; what lies in a dict in a dict has both names, joined by `_`. Lists
and dicts with whole numbers for keys become arrays, ragged lists of text are filled up with "".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

BARE = "array"
DEPTH, MANY = 4, 10_000
TEXT_BYTES = 2**28  # that an array of text may take: its lines are as wide as the longest


def flat(content: Any) -> dict[str, NDArray[Any]]:
    """The arrays in nested dicts, by names. Raises `ValueError` for anything that is none."""
    found: dict[str, NDArray[Any]] = {}
    for name, each in _walk(content, (), DEPTH):
        if name in found or len(found) >= MANY:
            raise ValueError(f"it holds {name!r} twice, or over {MANY} parts")
        found[name] = each if isinstance(each, np.ndarray) else _listed(name, each)
    return found


def _walk(content: Any, path: tuple[str, ...], depth: int) -> Iterator[tuple[str, Any]]:
    if not isinstance(content, Mapping) or _by_number(content):
        yield "_".join(path) or BARE, content
        return
    if not depth:
        raise ValueError(f"{'_'.join(path)} is nested too deep")
    for key, inner in content.items():
        if not isinstance(key, str):
            raise ValueError(f"a key is {type(key).__name__}, not text")
        yield from _walk(inner, (*path, key), depth - 1)


def _by_number(content: Mapping[Any, Any]) -> bool:
    return bool(content) and all(isinstance(key, int) for key in content)


def _listed(name: str, content: Any) -> NDArray[Any]:
    """A list, or a dict from 0 to n - 1, of numbers or text, or of lists of text."""
    if isinstance(content, Mapping):
        if sorted(content) != list(range(len(content))):
            raise ValueError(f"the keys of {name} do not run from 0 to {len(content) - 1}")
        content = [content[i] for i in range(len(content))]
    if isinstance(content, bool | int | float | str):
        return np.array(content)
    if not isinstance(content, list | tuple):
        raise ValueError(f"{name} is a {type(content).__name__}, which is no array")
    if content and all(isinstance(each, list | tuple) for each in content):
        widest = max(len(each) for each in content)
        if widest * len(content) > 10 * sum(map(len, content)) + MANY:
            raise ValueError(f"the lists in {name} are of very different lengths")
        return _text(name, [[*each, *[""] * (widest - len(each))] for each in content])
    if all(isinstance(each, str) for each in content):
        return _text(name, content)
    if all(isinstance(each, int | float) for each in content):
        return np.array(content)
    raise ValueError(f"{name} lists something else than numbers or text")


def _text(name: str, lines: Sequence[Any]) -> NDArray[Any]:
    every = [each for line in lines for each in (line if isinstance(line, list) else [line])]
    if not all(isinstance(each, str) for each in every):
        raise ValueError(f"{name} lists something else than text")
    if 4 * len(every) * max(map(len, every), default=0) > TEXT_BYTES:
        raise ValueError(f"the text in {name} has lines that are too long")
    return np.array(lines)
