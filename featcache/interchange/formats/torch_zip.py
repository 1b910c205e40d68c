"""Tensors as torch saves them: alone, or in dicts beside lists; never a pickle that runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featcache.interchange.naming import BARE, flat
from featcache.interchange.safe import LARGE, check_storages, check_torch

SUFFIXES = (".pt", ".pth")
DEPTH, MANY = 4, 100_000


def load(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of the file, by names that `featcache.interchange.naming` makes of nested dicts.

    Raises `ImportRefusedError` for modules and other objects, and for shapes without bytes.
    """
    import torch

    sizes = check_torch(path)
    # Mapped, so that no memory is taken for what the file only claims to hold.
    content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    check_storages(path, [*_tensors(content, DEPTH, [MANY])], sizes)
    return flat(_as_arrays(content))


def save(path: Path, arrays: Mapping[str, NDArray[Any]], named: Mapping[str, list[Any]]) -> None:
    """Write a dict of tensors and lists; of one nameless array the tensor alone."""
    import torch

    # From a buffer: to a path torch would write that path's name into the file.
    tensors = {key: torch.from_numpy(np.ascontiguousarray(x)) for key, x in arrays.items()}
    alone = [*tensors, *named] == [BARE]
    buffer = BytesIO()
    torch.save(tensors[BARE] if alone else {**tensors, **named}, buffer)
    path.write_bytes(buffer.getvalue())


def _tensors(content: Any, depth: int, left: list[int]) -> Iterator[Any]:
    import torch

    left[0] -= 1
    if depth < 0 or left[0] < 0:
        raise ValueError("it is nested too deep, or has too many parts")
    if isinstance(content, torch.Tensor):
        yield content
    elif isinstance(content, dict):
        for inner in content.values():
            if isinstance(inner, torch.Tensor | dict):
                yield from _tensors(inner, depth - 1, left)


def _as_arrays(content: Any) -> Any:
    import torch

    if isinstance(content, dict):
        return {key: _as_arrays(inner) for key, inner in content.items()}
    if not isinstance(content, torch.Tensor):
        return content
    plain = content.detach()
    if plain.dtype == torch.bfloat16:  # which NumPy does not know
        plain = plain.float()
    # One that is large stays mapped, without a copy of it.
    return (plain if plain.nbytes >= LARGE else plain.contiguous().clone()).numpy()
