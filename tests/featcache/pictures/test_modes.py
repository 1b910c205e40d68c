"""Pictures of more than 8 bits are what their 8-bit twins are, or bad with the reason."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from featcache.errors import PictureError
from featcache.pictures.decode import decode
from featcache.pictures.modes import to_rgb
from tests.featcache.pictures.samples import by_pillow, distance, smooth, stored

TWIN = np.array(smooth(40, 50).convert("L"))
TWIN[0, :2] = 0, 255
RGB = np.repeat(TWIN[..., None], 3, axis=2)
GREY: NDArray[np.float64] = TWIN / 255

# The rows of the table in docs/encoding.md: what is stored, and how far the twin may be.
DEEP: dict[str, tuple[NDArray[Any], str]] = {
    "16 bits": ((GREY * 65535).astype(np.uint16), "PNG"),
    "16 bits, TIFF": ((GREY * 65535).astype(np.uint16), "TIFF"),
    "16 bits, PGM": ((GREY * 65535).astype(np.uint16), "PPM"),
    "16 bits, JPEG 2000": ((GREY * 65535).astype(np.uint16), "JPEG2000"),
    "8 bits in 16": (TWIN.astype(np.uint16), "PNG"),
    "32 bits": ((GREY * (2**31 - 1)).astype(np.int32), "TIFF"),
    "16 bits in 32": ((GREY * 65535).astype(np.int32), "TIFF"),
    "8 bits in 32": (TWIN.astype(np.int32), "TIFF"),
    "float to 1": (GREY.astype(np.float32), "TIFF"),
    "float to 255": (TWIN.astype(np.float32), "TIFF"),
}


@pytest.mark.parametrize("kind", DEEP)
def test_a_deep_picture_is_its_twin(kind: str) -> None:
    values, form = DEEP[kind]
    assert distance(decode(stored(Image.fromarray(values), form)), RGB) <= 1


@pytest.mark.parametrize("kind", ["8 bits in 16", "8 bits in 32", "float to 255"])
def test_what_pillow_has_right_stays_as_it_was(kind: str) -> None:
    content = stored(Image.fromarray(DEEP[kind][0]), DEEP[kind][1])
    np.testing.assert_array_equal(decode(content), by_pillow(content))


@pytest.mark.parametrize(
    "mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "LA"]
)
def test_eight_bits_are_converted_by_pillow(mode: str) -> None:
    image = smooth(20, 30).convert("RGB" if mode == "LAB" else mode)
    image = Image.frombytes("LAB", image.size, image.tobytes()) if mode == "LAB" else image
    np.testing.assert_array_equal(to_rgb(image), np.array(image.convert("RGB")))


def test_twelve_bits_are_on_the_full_range_unless_the_file_says_so() -> None:
    """Twelve bits in 16 are a dark picture: by its values nothing tells it from a night."""
    twelve = Image.fromarray((GREY * 4095).astype(np.uint16))
    assert decode(stored(twelve, "PNG")).max() == round(4095 / 257)
    packed = io.BytesIO(stored(twelve, "TIFF"))
    with Image.open(packed) as image:
        image.load()
        image.tag_v2[258] = 12  # type: ignore[attr-defined]
        assert distance(to_rgb(image), RGB) <= 1


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.float32([[0, 256]]), "values up to 256, a range not known"),
        (np.float32([[-1, 1]]), "values from -1 to 1, which are no brightness"),
        (np.float32([[0, np.nan]]), "values from .* which are no brightness"),
        (np.float32([[0, np.inf]]), "values from .* which are no brightness"),
        (np.int32([[-5, 9]]), "values from -5 to 9"),
        (np.int32([[0, 100_000]]), "values up to 100000, a range not known"),
    ],
)
def test_ranges_not_known_are_bad(values: NDArray[Any], reason: str) -> None:
    with pytest.raises(PictureError, match=f"^the picture has {reason}") as error:
        decode(stored(Image.fromarray(values), "TIFF"))
    assert str(error.value).endswith("scale them to 0 … 255.")


@given(st.integers(0, 65535), st.integers(256, 65535))
def test_brighter_stays_brighter(dark: int, bright: int) -> None:
    dark = min(dark, bright)
    pixels = to_rgb(Image.fromarray(np.uint16([[dark, bright]])))
    assert pixels[0, 0, 0] <= pixels[0, 1, 0]
    assert abs(int(pixels[0, 1, 0]) - bright / 257) <= 0.5


def test_the_pictures_of_the_cases(shared_cases: Path) -> None:
    folder = shared_cases / "pictures"
    twin = decode(folder / "twin-8bit.png")
    for name in ("grey-16bit.png", "float-0-to-1.tif", "float-0-to-255.tif", "int32.tif"):
        assert distance(decode(folder / name), twin) <= 2, name
    assert decode(folder / "grey-12bit-in-16.png").max() == 16


@pytest.mark.slow
def test_the_demo_backbone_takes_a_deep_picture_for_its_twin(tmp_path: Path) -> None:
    from featcache import embed, load_backbone

    values, form = DEEP["16 bits"]
    paths = [tmp_path / "deep.png", tmp_path / "twin.png"]
    for path, picture in zip(paths, (values, TWIN), strict=True):
        path.write_bytes(stored(Image.fromarray(picture), form))
    one, other = embed(load_backbone("demo", device="cpu"), paths)
    assert one @ other > 0.99 * np.linalg.norm(one) * np.linalg.norm(other)
