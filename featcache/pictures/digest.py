"""A picture's bytes in short, and the state of its file, which tells when they may have changed."""

from __future__ import annotations

import os
import pickle
from functools import cache
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featcache.datasets.checks import is_special
from featcache.datasets.dataset import Item, Stored
from featcache.datasets.remote import Remote
from featcache.errors import PictureError
from featcache.pictures.decode import Pixels, decode

YOUNG = 2 * 10**9  # ns: a file so young may change again without its times telling


class State(NamedTuple):
    """Size in bytes, and when content and node of a file last changed, in ns; -1 where unknown."""

    size: int
    mtime: int
    ctime: int

    @property
    def sure(self) -> bool:
        """Whether an equal state means equal bytes."""
        return self.ctime >= 0


UNKNOWN = State(-1, -1, -1)


class Content(NamedTuple):
    """What a picture is made of: the bytes of its file, or the pixels of one that is no file."""

    held: bytes | Pixels
    digest: str


def state_of(item: Item, now: int) -> State:
    """The state of a picture's file at `now` (ns since the epoch); `UNKNOWN` where there is none.

    Of a file that changed just before, the last number is -1. One that lies within a larger file
    has the state of that, one that is no file its size and a hash of what it is made from, and one
    in a store what the listing said of it.
    """
    source = item.source
    if isinstance(source, Remote):
        known = State(max(source.size, 0), source.mark, min(source.mark, 0))
        return known if source.listed else UNKNOWN
    if not isinstance(source, Path) and isinstance(source, Stored):  # paths first: a million
        source = source.file
    if not isinstance(source, Path):
        made = pickle.dumps(source, protocol=4) + _version()
        return State(len(made), int.from_bytes(blake2b(made, digest_size=7).digest()), 0)
    try:
        found = os.stat(source)  # noqa: PTH116 - a million of them: half the time of Path.stat
    except OSError:
        return UNKNOWN
    young = max(found.st_mtime_ns, found.st_ctime_ns) > now - YOUNG
    return State(found.st_size, found.st_mtime_ns, -1 if young else found.st_ctime_ns)


@cache
def _version() -> bytes:
    """Of this package, which makes pictures that are no files; to look it up takes 0.2 ms."""
    return version("featcache").encode()


def read(item: Item) -> Content:
    """A picture's content with its digest.

    Raises `OSError` or `PictureError` where it cannot be had.
    """
    source = item.source
    if not isinstance(source, Path | Stored):
        pixels = decode(source)
        return Content(pixels, _with_box(item, digest_of(pixels)))
    content = bytes_of(source)
    return Content(content, _with_box(item, digest_of(content)))


def bytes_of(source: Path | Stored) -> bytes:
    """The bytes of a picture's file, or of what lies within a larger one; raises as `read`."""
    if not isinstance(source, Path):
        return source.read()
    if is_special(source):  # put there since the folder was listed; it would never end
        raise PictureError("is a pipe, socket or device.")
    return source.read_bytes()


def _with_box(item: Item, digest: str) -> str:
    """What lies in another box of the same picture is another picture."""
    if item.box is None:
        return digest
    return digest_of(f"{digest} {tuple(map(float, item.box))}".encode())


def digest_of(content: bytes | NDArray[np.uint8]) -> str:
    """BLAKE2b of bytes, or of the shape and bytes of pixels: 32 hexadecimal digits."""
    if isinstance(content, bytes):
        return blake2b(content, digest_size=16).hexdigest()
    found = blake2b(str(content.shape).encode(), digest_size=16)
    found.update(np.ascontiguousarray(content).data)
    return found.hexdigest()
