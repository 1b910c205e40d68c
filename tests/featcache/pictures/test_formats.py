"""What the installed Pillow opens is read, and only still pictures of formats that are allowed."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featcache.errors import PictureError
from featcache.pictures.decode import decode
from featcache.pictures.formats import ALLOWED, formats, suffixes
from tests.featcache.pictures.samples import smooth, stored


@pytest.mark.parametrize("form", formats())
def test_a_format_that_pillow_has_is_read(form: str) -> None:
    if form not in Image.SAVE:
        pytest.skip(f"this Pillow cannot write {form}")
    content = stored(smooth(20, 30), form)
    np.testing.assert_array_equal(
        decode(content), np.array(Image.open(io.BytesIO(content)).convert("RGB"))
    )


@pytest.mark.parametrize("form", ["ICO", "TGA", "PCX", "EPS", "SGI", "PDF"])
def test_a_format_that_is_not_allowed_is_refused(form: str) -> None:
    with pytest.raises(PictureError, match="no picture of a known kind"):
        decode(stored(smooth(16, 16), form))


def test_endings_are_pillows_for_these_formats() -> None:
    Image.init()
    assert set(formats()) <= set(ALLOWED)
    assert {".jpg", ".jpeg", ".jfif", ".jpe", ".png", ".tif", ".jp2", ".webp"} <= set(suffixes())
    assert not {".eps", ".pdf", ".wmf", ".ico", ".mpg", ".h5", ".psd"} & set(suffixes())
    for ending in suffixes():
        assert Image.registered_extensions()[ending] in (*ALLOWED, "MPO")


def test_the_formats_of_the_cases(shared_cases: Path) -> None:
    whole = decode(shared_cases / "pictures" / "photo.png").astype(int)
    for ending in (".jfif", ".avif", ".jp2"):
        if ending in suffixes():
            pixels = decode(shared_cases / "pictures" / f"photo{ending}")
            assert np.abs(pixels - whole).mean() < 20, ending
