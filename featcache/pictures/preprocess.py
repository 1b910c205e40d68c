"""Pixels to the square that a model takes: resize and crop, whole pictures and views of them.

Resizing differs from Pillow's by 1/255 in one value of 200, and by 2/255 in three of a million.
"""

from __future__ import annotations

import hashlib
from dataclasses import astuple, dataclass

import numpy as np
import torch

from featcache.errors import ConfigError, PictureError
from featcache.pictures.decode import Pixels
from featcache.pictures.limit import MAX_PIXELS
from featcache.pictures.views import View

RESIZER = "torch uint8 antialias"  # part of the fingerprint: another one gives other features


@dataclass(frozen=True, slots=True)
class Preprocess:
    """How a model wants its pictures: `size` pixels square, then `(x / 255 - mean) / std`.

    `resize_mode` is `shortest` (resize the shorter edge, cut the rest), `longest` (resize the
    longer edge, pad with `fill_color`) or `squash`; `interpolation` is `bicubic` or `bilinear`.
    """

    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bicubic"
    resize_mode: str = "shortest"
    fill_color: int = 0

    def __post_init__(self) -> None:
        if self.resize_mode not in ("shortest", "longest", "squash"):
            raise ConfigError(f"resize mode {self.resize_mode!r} is not known; use shortest.")
        if self.interpolation not in ("bicubic", "bilinear"):
            raise ConfigError(f"interpolation {self.interpolation!r} is not known; use bicubic.")

    @property
    def fingerprint(self) -> str:
        """Hash of all that decides which numbers reach the model."""
        return hashlib.sha256(repr((RESIZER, *astuple(self))).encode()).hexdigest()[:16]


def fit_square(pixels: Pixels, preprocess: Preprocess) -> Pixels:
    """The whole picture as the model sees it in tests: uint8 `[s, s, 3]`, resized and cropped."""
    height, width = resized_to(pixels.shape[0], pixels.shape[1], preprocess)
    resized = _resize(pixels, height, width, preprocess)
    return _centre(resized, preprocess.size, preprocess.fill_color)


def resized_to(height: int, width: int, preprocess: Preprocess) -> tuple[int, int]:
    """What a picture of this height and width is resized to, before it is cut or padded."""
    size = preprocess.size
    if preprocess.resize_mode == "squash":
        return size, size
    if preprocess.resize_mode == "longest":
        scale = max(height / size, width / size)
        return max(1, round(height / scale)), max(1, round(width / scale))
    if height <= width:
        return size, int(size * width / height)
    return int(size * height / width), size


def crop_resize(pixels: Pixels, view: View, preprocess: Preprocess) -> Pixels:
    """One view of a picture as uint8 `[s, s, 3]`: the box, resized to the square, or its mirror."""
    box = pixels[view.top : view.top + view.height, view.left : view.left + view.width]
    square = _resize(box, preprocess.size, preprocess.size, preprocess)
    return np.ascontiguousarray(square[:, ::-1]) if view.flipped else square


def _resize(pixels: Pixels, height: int, width: int, preprocess: Preprocess) -> Pixels:
    """As Pillow resizes, four times as fast: both filter with antialiasing, in whole numbers."""
    if pixels.shape[:2] == (height, width):
        return np.ascontiguousarray(pixels)
    if height * width > MAX_PIXELS:
        raise PictureError(
            f"the picture is too long and thin to resize ({pixels.shape[1]} x {pixels.shape[0]})."
        )
    # [1, 3, h, w] as a view of [h, w, 3]: the memory order for which torch has its fast path.
    image = torch.from_numpy(np.require(pixels, requirements=["C", "W"])).permute(2, 0, 1)[None]
    image = torch.nn.functional.interpolate(
        image, (height, width), mode=preprocess.interpolation, antialias=True, align_corners=False
    )
    return np.ascontiguousarray(image[0].permute(1, 2, 0).numpy())


def _centre(pixels: Pixels, size: int, fill: int) -> Pixels:
    """The centre `size` x `size`, padded with `fill` where the picture is smaller."""
    height, width = pixels.shape[:2]
    down, right = max(0, size - height), max(0, size - width)
    if down or right:
        pads = ((down // 2, (down + 1) // 2), (right // 2, (right + 1) // 2), (0, 0))
        pixels = np.pad(pixels, pads, constant_values=fill)
        height, width = pixels.shape[:2]
    # Halves are rounded to even, as torchvision's CenterCrop does.
    top, left = round((height - size) / 2), round((width - size) / 2)
    return np.ascontiguousarray(pixels[top : top + size, left : left + size])
