"""A picture's digest follows its bytes, and the state of its file tells when they may differ."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from featcache.datasets.dataset import Item
from featcache.errors import PictureError
from featcache.pictures.digest import UNKNOWN, YOUNG, digest_of, read, state_of

LATER = 10 * YOUNG


@dataclass(frozen=True)
class Flat:
    value: int

    def pixels(self) -> NDArray[np.uint8]:
        return np.full((2, 3, 3), self.value, np.uint8)


@given(st.binary(max_size=64), st.binary(max_size=64))
def test_a_digest_is_of_all_bytes(one: bytes, other: bytes) -> None:
    assert (digest_of(one) == digest_of(other)) == (one == other)
    assert digest_of(one) == blake2b(one, digest_size=16).hexdigest()


def test_pixels_of_another_shape_are_others() -> None:
    pixels = np.arange(18, dtype=np.uint8)
    digests = {digest_of(pixels.reshape(shape)) for shape in ((2, 3, 3), (3, 2, 3), (1, 6, 3))}
    assert len(digests) == 3
    assert digest_of(pixels.reshape(2, 3, 3)[:, ::-1]) not in digests


def test_a_file_has_the_state_that_the_system_tells(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"12345")
    item, told = Item("a.png", path, 0), path.stat()
    now = time.time_ns()
    assert state_of(item, now + LATER) == (5, told.st_mtime_ns, told.st_ctime_ns)
    assert state_of(item, now + LATER).sure
    young = state_of(item, now)
    assert (young[:2], young.sure) == ((5, told.st_mtime_ns), False)
    # A time of content in the past does not make it old: its node was just written.
    os.utime(path, (1, 1))
    assert not state_of(item, now).sure


def test_what_is_not_there_has_no_state(tmp_path: Path) -> None:
    item = Item("a.png", tmp_path / "a.png", 0)
    assert state_of(item, 0) == UNKNOWN
    assert not UNKNOWN.sure
    with pytest.raises(FileNotFoundError):
        read(item)


def test_a_drawn_picture_has_the_state_of_what_it_is_made_from() -> None:
    states = {state_of(Item("x", Flat(value), 0), 0) for value in (1, 1, 2)}
    assert len(states) == 2
    assert all(state.sure for state in states)
    held = read(Item("x", Flat(7), 0))
    assert np.asarray(held.held).tolist() == Flat(7).pixels().tolist()
    assert held.digest == digest_of(Flat(7).pixels())


def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(PictureError, match="is a pipe, socket or device"):
        read(Item("a.png", tmp_path / "a.png", 0))
