"""What a card makes of pictures is near what a CPU makes of them, in the same places."""

from __future__ import annotations

import io
from dataclasses import asdict

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from featcache.pictures import card, preprocess
from featcache.pictures.card import OnCard, decode_all, on_card
from featcache.pictures.decode import decode, plain_jpeg
from featcache.pictures.preprocess import Preprocess
from featcache.pictures.views import View

CPU = torch.device("cpu")


def jpeg(height: int, width: int, mode: str = "RGB") -> bytes:
    rng = np.random.default_rng(height)
    rough = Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8))
    held = io.BytesIO()
    rough.resize((width, height), Image.Resampling.BICUBIC).convert(mode).save(held, "JPEG")
    return held.getvalue()


def near(ours: torch.Tensor, theirs: NDArray[np.uint8]) -> bool:
    apart = np.abs(ours.numpy().astype(int) - theirs.astype(int))
    return ours.shape == theirs.shape and ours.dtype == torch.uint8 and int(apart.max()) <= 2


@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize(("height", "width"), [(40, 70), (71, 33), (24, 24), (9, 100)])
def test_squares_are_those_of_the_cpu(
    mode: str, interpolation: str, height: int, width: int
) -> None:
    wanted = Preprocess(24, (0.5,) * 3, (0.5,) * 3, interpolation, mode, 7)
    pixels = decode(jpeg(height, width))
    picture = torch.from_numpy(pixels).permute(2, 0, 1)
    for square in card.fit_square(torch.stack([picture, picture]), wanted):
        assert near(square, preprocess.fit_square(pixels, wanted))
    for flipped in (False, True):
        view = View(2, 1, 6, 17, flipped)
        assert near(
            card.crop_resize(picture, view, wanted), preprocess.crop_resize(pixels, view, wanted)
        )


def test_it_is_a_preprocessing_of_its_own() -> None:
    plain = Preprocess(24, (0.5,) * 3, (0.5,) * 3)
    ours = on_card(plain)
    assert isinstance(ours, OnCard)
    assert {**asdict(ours)} == {**asdict(plain), "decoder": ours.decoder}
    assert ours.fingerprint != plain.fingerprint
    assert on_card(ours) == ours


def test_whole_jpegs_in_colour_are_for_a_card() -> None:
    whole = jpeg(40, 70)
    assert plain_jpeg(whole) == (40, 70)
    (picture,) = decode_all([torch.frombuffer(bytearray(whole), dtype=torch.uint8)], CPU)
    assert near(picture.permute(1, 2, 0), decode(whole))
    png = io.BytesIO()
    Image.new("RGB", (4, 4)).save(png, "PNG")
    for other in (
        whole[:-2],
        jpeg(9, 9, "L"),
        jpeg(9, 9, "CMYK"),
        png.getvalue(),
        b"\xff\xd8\xff\xd9",
    ):
        assert plain_jpeg(other) is None
