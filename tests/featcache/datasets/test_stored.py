"""Parts of files: the bytes that are there, as a file of their own would give them."""

from __future__ import annotations

import pickle
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featcache.datasets.dataset import Item, Picture, Stored
from featcache.datasets.stored import Part
from featcache.errors import PictureError
from featcache.pictures.decode import decode, unopened
from featcache.pictures.digest import UNKNOWN, YOUNG, digest_of, read, state_of
from tests.featcache.datasets.kinds.trees import png


@given(before=st.binary(max_size=20), held=st.binary(max_size=20), after=st.binary(max_size=20))
def test_a_part_is_what_was_put_there(
    tmp_path_factory: pytest.TempPathFactory, before: bytes, held: bytes, after: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "whole"
    file.write_bytes(before + held + after)
    part = pickle.loads(pickle.dumps(Part(file, len(before), len(held))))
    assert part.read() == held
    assert isinstance(part, Stored)
    content = read(Item("a", part, 0))
    assert content == (held, digest_of(held))


def test_it_is_the_picture_that_a_file_is(tmp_path: Path) -> None:
    (tmp_path / "own.png").write_bytes(png(3))
    (tmp_path / "whole").write_bytes(b"xx" + png(3))
    part = Part(tmp_path / "whole", 2, len(png(3)))
    own, within = Item("a", tmp_path / "own.png", 0), Item("a", part, 0)
    assert read(own) == read(within)
    assert (decode(part) == decode(tmp_path / "own.png")).all()
    assert unopened(part) == ""
    assert "known kind" in unopened(Part(tmp_path / "whole", 0, 9))


def test_its_state_is_that_of_the_file_that_holds_it(tmp_path: Path) -> None:
    file = tmp_path / "whole"
    file.write_bytes(b"12345")
    later = time.time_ns() + 10 * YOUNG
    within = Item("a", Part(file, 1, 2), 0)
    assert state_of(within, later) == state_of(Item("a", file, 0), later)
    assert not state_of(within, time.time_ns()).sure
    file.unlink()
    assert state_of(within, later) == UNKNOWN


def test_a_file_that_became_shorter_is_told(tmp_path: Path) -> None:
    file = tmp_path / "whole.tar"
    file.write_bytes(b"12345")
    part = Part(file, 3, 4)
    with pytest.raises(PictureError, match=r"beyond the end of whole\.tar"):
        part.read()
    with pytest.raises(PictureError, match=r"the picture lies beyond the end"):
        decode(part)
    assert "beyond the end" in unopened(part)
    file.unlink()
    with pytest.raises(PictureError, match="the picture cannot be read"):
        decode(part)


def test_what_gives_pixels_or_is_a_path_is_not_stored() -> None:
    class Drawn:
        pixels = Picture.pixels

    assert not isinstance(Drawn(), Stored)
    assert not isinstance(Path("a"), Stored)
