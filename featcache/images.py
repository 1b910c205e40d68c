"""Bytes to pixels: decode, resize, crop. The only room that opens pictures.

Pictures come out as open_clip's own preprocessing sees them: RGB by Pillow's `convert("RGB")`
(alpha dropped, 16-bit grey clipped), the first frame of an animation, EXIF orientation ignored.
Decoding equals Pillow's bit by bit; resizing differs from it by 1/255 in one value of 200, and
by 2/255 in three of a million.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import simplejpeg
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from featcache.datasets.dataset import Picture
from featcache.errors import ConfigError, PictureError
from featcache.views import View

Pixels = NDArray[np.uint8]

MAX_PIXELS = 64_000_000  # a few kB of PNG can claim any size; below Pillow's own limit of 89 M
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
RESIZER = "torch uint8 antialias"  # part of the fingerprint: another one gives other features

# Set once: pictures are decoded in threads, where a filter cannot be set for a moment.
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)


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


def decode(source: Path | Picture | bytes) -> Pixels:
    """The picture as uint8 `[h, w, 3]`, RGB; `source` may be a file, its bytes or a `Picture`.

    Raises `PictureError`, whose text is the same on every run, for what is no picture, is cut
    short, damaged, or larger than `MAX_PIXELS`.
    """
    name = source.name if isinstance(source, Path) else "the picture"
    try:
        if isinstance(source, Path):
            return _decode(_read(source))
        return _decode(source) if isinstance(source, bytes) else _drawn(source)
    except PictureError as error:
        raise PictureError(f"{name} {error}") from error.__cause__


def fit_square(pixels: Pixels, preprocess: Preprocess) -> Pixels:
    """The whole picture as the model sees it in tests: uint8 `[s, s, 3]`, resized and cropped."""
    size, (height, width) = preprocess.size, pixels.shape[:2]
    if preprocess.resize_mode == "squash":
        return _resize(pixels, size, size, preprocess)
    if preprocess.resize_mode == "longest":
        scale = max(height / size, width / size)
        height, width = max(1, round(height / scale)), max(1, round(width / scale))
    elif height <= width:
        height, width = size, int(size * width / height)
    else:
        height, width = int(size * height / width), size
    return _centre(_resize(pixels, height, width, preprocess), size, preprocess.fill_color)


def crop_resize(pixels: Pixels, view: View, preprocess: Preprocess) -> Pixels:
    """One view of a picture as uint8 `[s, s, 3]`: the box, resized to the square, or its mirror."""
    box = pixels[view.top : view.top + view.height, view.left : view.left + view.width]
    square = _resize(box, preprocess.size, preprocess.size, preprocess)
    return np.ascontiguousarray(square[:, ::-1]) if view.flipped else square


def _read(path: Path) -> bytes:
    if not path.is_file():  # a pipe or a device would never end
        raise PictureError("does not exist or is no file.")
    try:
        return path.read_bytes()
    except OSError as error:
        raise PictureError(f"cannot be read ({error.strerror}).") from error


def _decode(content: bytes) -> Pixels:
    if not content:
        raise PictureError("is empty.")
    pixels = _fast_jpeg(content) if content.startswith(b"\xff\xd8") else None
    return _pillow(content) if pixels is None else pixels


def _fast_jpeg(content: bytes) -> Pixels | None:
    """A plain JPEG at twice Pillow's speed; None leaves the odd and the damaged to Pillow."""
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(content)
        _check_size(int(height), int(width))
        if colours in ("CMYK", "YCCK"):  # where the two libraries round differently
            return None
        pixels: Pixels = simplejpeg.decode_jpeg(content, colorspace="RGB", strict=True)
    except ValueError:
        return None
    return pixels


def _pillow(content: bytes) -> Pixels:
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            _check_size(image.height, image.width)
            if "transparency" in image.info:  # the same colours, without a warning each time
                return np.array(image.convert("RGBA").convert("RGB"))
            return np.array(image.convert("RGB"))
    except PictureError:
        raise
    except UnidentifiedImageError:
        raise PictureError(f"is no picture of a known kind ({', '.join(FORMATS)}).") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise PictureError(f"has more than {MAX_PIXELS // 10**6} million pixels.") from error
    except Exception as error:  # damaged files make Pillow raise almost anything
        raise PictureError(f"is cut short or damaged ({error}).") from error


def _drawn(picture: Picture) -> Pixels:
    try:
        pixels = np.asarray(picture.pixels())
    except Exception as error:  # somebody else's code
        raise PictureError(f"gave no pixels ({error}).") from error
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise PictureError(
            f"gave {pixels.dtype} of shape {list(pixels.shape)}, where uint8 [h, w, 3] is needed."
        )
    _check_size(*pixels.shape[:2])
    return pixels


def _check_size(height: int, width: int) -> None:
    if height * width > MAX_PIXELS:
        raise PictureError(
            f"has {width} x {height} pixels; the limit is {MAX_PIXELS // 10**6} million."
        )


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
