"""Resizing and cropping equal open_clip's and torchvision's."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import functional as vision

from featcache.errors import ConfigError, PictureError
from featcache.pictures.decode import decode
from featcache.pictures.preprocess import Preprocess, crop_resize, fit_square
from featcache.pictures.views import View
from tests.featcache.pictures.samples import PLAIN, by_open_clip, distance, smooth


@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("shape", [(375, 500), (500, 333), (64, 64), (8, 8), (40, 11), (33, 32)])
def test_fitting_is_open_clips(mode: str, interpolation: str, shape: tuple[int, int]) -> None:
    preprocess = Preprocess(64, PLAIN.mean, PLAIN.std, interpolation, mode, fill_color=7)
    image = smooth(*shape)
    fitted = fit_square(np.array(image), preprocess)
    theirs = by_open_clip(image, preprocess)
    assert fitted.dtype == np.uint8
    assert fitted.flags.c_contiguous
    assert distance(fitted, theirs) <= 1
    assert (fitted != theirs).mean() < 0.02


def test_noise_is_resized_as_by_pillow() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (375, 500, 3), dtype=np.uint8)
    preprocess = Preprocess(224, PLAIN.mean, PLAIN.std)
    theirs = by_open_clip(Image.fromarray(noise), preprocess)
    assert distance(fit_square(noise, preprocess), theirs) <= 1


def test_views_are_cropped_and_resized_as_by_torchvision() -> None:
    image = smooth(120, 90)
    for view in (View(5, 10, 60, 70, False), View(0, 0, 120, 90, True), View(7, 3, 9, 5, True)):
        box = [view.top, view.left, view.height, view.width]
        theirs = vision.resized_crop(image, *box, [32, 32], vision.InterpolationMode.BICUBIC)
        theirs = vision.hflip(theirs) if view.flipped else theirs
        assert distance(crop_resize(np.array(image), view, PLAIN), np.array(theirs)) <= 1


def test_nothing_is_resized_to_more_than_memory() -> None:
    with pytest.raises(PictureError, match="too long and thin"):
        fit_square(np.zeros((1, 5_000_000, 3), np.uint8), PLAIN)
    assert fit_square(np.zeros((1, 5000, 3), np.uint8), PLAIN).shape == (32, 32, 3)


def test_fingerprints_tell_preprocessings_apart() -> None:
    others = [
        Preprocess(33, PLAIN.mean, PLAIN.std),
        Preprocess(32, PLAIN.mean, (0.5, 0.5, 0.4)),
        Preprocess(32, PLAIN.mean, PLAIN.std, "bilinear"),
        Preprocess(32, PLAIN.mean, PLAIN.std, resize_mode="squash"),
    ]
    assert len({p.fingerprint for p in [PLAIN, *others]}) == 5
    assert PLAIN.fingerprint == Preprocess(32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)).fingerprint
    # Part of the keys of entries: it stays while pictures of 8 bits keep their numbers.
    assert PLAIN.fingerprint == "9e33ae03346e2fbc"
    with pytest.raises(ConfigError):
        Preprocess(32, PLAIN.mean, PLAIN.std, "lanczos")
    with pytest.raises(ConfigError):
        Preprocess(32, PLAIN.mean, PLAIN.std, resize_mode="crop")


def test_real_pictures_decode_and_fit_as_by_open_clip(shared_data: Path) -> None:
    preprocess = Preprocess(224, PLAIN.mean, PLAIN.std)
    with zipfile.ZipFile(shared_data / "eurosat.zip") as archive:
        files = [name for name in archive.namelist() if name.endswith(".jpg")][::3000]
        for name in files:
            content = archive.read(name)
            image = Image.open(io.BytesIO(content))
            np.testing.assert_array_equal(decode(content), np.array(image.convert("RGB")))
            theirs = by_open_clip(image, preprocess)
            assert distance(fit_square(decode(content), preprocess), theirs) <= 2
