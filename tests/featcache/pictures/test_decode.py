"""Decoding equals Pillow's, and hostile files are one sentence."""

from __future__ import annotations

import struct
import zlib
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featcache.errors import PictureError
from featcache.pictures.decode import cropped, decode, unopened
from featcache.pictures.limit import MAX_PIXELS, limit_pixels
from tests.featcache.pictures.samples import by_pillow, kinds, smooth, stored


@pytest.mark.parametrize("kind", kinds())
@pytest.mark.filterwarnings("error")
def test_pixels_are_pillows(kind: str, tmp_path: Path) -> None:
    content = kinds()[kind]
    file = tmp_path / "picture.jpg"  # the name's ending says nothing
    file.write_bytes(content)
    assert decode(content).shape == (61, 83, 3)
    assert decode(content).dtype == np.uint8
    with pytest.warns() if "see-through" in kind else nullcontext():
        theirs = by_pillow(content)
    if "16 bit" in kind:  # which Pillow clips; test_modes.py has what is right
        np.testing.assert_array_equal(decode(file), decode(content))
        return
    np.testing.assert_array_equal(decode(file), theirs)
    np.testing.assert_array_equal(decode(content), theirs)


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be huge."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def huge_jpeg() -> bytes:
    content = bytearray(stored(smooth(16, 16), "JPEG"))
    at = content.index(b"\xff\xc0") + 5
    content[at : at + 4] = struct.pack(">HH", 60000, 60000)
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"I am no picture", "no picture of a known kind"),
        (b"\xff\xd8", "no picture of a known kind"),
        (b"\xff\xd8\xff\xe0" + bytes(100), "no picture of a known kind|damaged"),
        (stored(smooth(90, 90), "JPEG")[:-300], "cut short or damaged"),
        (stored(smooth(90, 90), "PNG")[:-300], "cut short or damaged"),
        (stored(smooth(90, 90), "GIF")[:-900], "cut short or damaged"),
        (stored(smooth(90, 90), "WEBP")[:-300], "cut short or damaged|known kind"),
        (bomb(9000, 9000), "9000 x 9000 pixels"),
        (bomb(10000, 10000), "64 million"),
        (bomb(40000, 40000), "64 million"),
        (huge_jpeg(), "60000 x 60000 pixels"),
        (b"SIMPLE  =                    T" + bytes(2880), "no picture of a known kind"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_hostile_files_are_refused(content: bytes, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.jpg"
    file.write_bytes(content)
    with pytest.raises(PictureError, match=reason) as error:
        decode(file)
    assert str(error.value).startswith("bad.jpg ")
    with pytest.raises(PictureError, match=reason) as again:
        decode(content)
    assert "0x" not in str(again.value)  # a reason is stored, and must not change


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent.png", Path("/dev/zero")):
        with pytest.raises(PictureError, match="does not exist or is no file"):
            decode(path)


def test_the_limit_can_be_moved_and_changes_no_picture() -> None:
    content = stored(smooth(61, 83), "PNG")
    whole = decode(content)
    try:
        limit_pixels(61 * 83)
        np.testing.assert_array_equal(decode(content), whole)
        limit_pixels(61 * 83 - 1)
        with pytest.raises(PictureError, match=r"83 x 61 pixels; the limit is .*--max-pixels"):
            decode(content)
        limit_pixels(400_000_000)  # beyond where Pillow stops by itself
        with pytest.raises(PictureError, match="cut short or damaged"):
            decode(bomb(10000, 20000))
    finally:
        limit_pixels()


class Drawn:
    def __init__(self, pixels: Any) -> None:
        self.array = pixels

    def pixels(self) -> Any:
        return self.array


class Broken:
    def pixels(self) -> Any:
        raise KeyError("parquet")


def test_a_picture_may_be_drawn() -> None:
    array = np.array(smooth(9, 8))
    np.testing.assert_array_equal(decode(Drawn(array)), array)
    for wrong in (array.astype(float), array[..., 0], array[:0], None):
        with pytest.raises(PictureError, match="is needed"):
            decode(Drawn(wrong))
    with pytest.raises(PictureError, match="limit"):
        decode(Drawn(np.broadcast_to(array[:1, :1], (1, MAX_PIXELS + 1, 3))))
    with pytest.raises(PictureError, match="gave no pixels"):
        decode(Broken())


edges = st.floats(-100, 100)


@given(edges, edges, edges, edges)
def test_a_crop_is_the_pixels_that_lie_in_the_box(
    left: float, top: float, right: float, bottom: float
) -> None:
    pixels = np.arange(6 * 9 * 3, dtype=np.uint8).reshape(6, 9, 3)
    columns = [x for x in range(9) if int(left) <= x < int(right)]
    rows = [y for y in range(6) if int(top) <= y < int(bottom)]
    box = (left, top, right, bottom)
    if not columns or not rows:
        with pytest.raises(PictureError, match=r"is 9 x 6 and has nothing in its box .*\.$"):
            cropped(pixels, box)
        return
    np.testing.assert_array_equal(cropped(pixels, box), pixels[np.ix_(rows, columns)])


def test_without_a_box_a_picture_is_whole() -> None:
    pixels = np.zeros((2, 3, 3), np.uint8)
    assert cropped(pixels, None) is pixels
    assert cropped(pixels, (0, 0, 1e300, 1e300)).shape == (2, 3, 3)


@pytest.mark.parametrize("edge", [np.nan, np.inf, -np.inf])
def test_a_box_that_is_none_is_told(edge: float) -> None:
    with pytest.raises(PictureError, match=r"has a box that is not made of numbers, 0, "):
        cropped(np.zeros((2, 3, 3), np.uint8), (0, edge, 1, 1))


def test_a_box_is_of_the_picture_as_it_lies_in_the_file(tmp_path: Path) -> None:
    """A camera's note that it was held askew moves neither pixels nor boxes."""
    image = smooth(20, 40)
    exif = image.getexif()
    exif[0x0112] = 6  # turn by a quarter
    image.save(tmp_path / "turned.png", exif=exif)
    found = cropped(decode(tmp_path / "turned.png"), (5, 2, 30, 8))
    np.testing.assert_array_equal(found, np.asarray(image)[2:8, 5:30])


@pytest.mark.parametrize("kind", kinds())
def test_heads_of_pictures_are_opened(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "picture.jpg"
    file.write_bytes(kinds()[kind])
    assert unopened(file) == ""


def test_heads_that_are_none_say_why(tmp_path: Path) -> None:
    file = tmp_path / "picture.jpg"
    assert unopened(file) == "does not exist or is no file"
    for content, why in (
        (b"", "is no picture of a known kind"),
        (b"<html>", "is no picture of a known kind"),
        (bomb(60_000, 60_000), "has more pixels than"),
    ):
        file.write_bytes(content)
        assert unopened(file).startswith(why)
