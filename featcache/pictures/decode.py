"""Bytes to pixels; the only module that opens pictures, and it leaves their size as it is.

Pictures come out as open_clip's own preprocessing sees them: RGB by Pillow's `convert("RGB")`
(alpha dropped), the first frame of an animation, EXIF orientation ignored. Decoding equals
Pillow's bit by bit, but for more than 8 bits a value, which `modes` scales where Pillow clips.
"""

from __future__ import annotations

import io
import math
import warnings
from pathlib import Path

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from featcache.datasets.dataset import Box, Picture, Source, Stored
from featcache.errors import PictureError
from featcache.pictures.formats import formats
from featcache.pictures.limit import in_words, most_pixels, too_large
from featcache.pictures.modes import to_rgb

Pixels = NDArray[np.uint8]

PILLOWS_LIMIT = Image.MAX_IMAGE_PIXELS or 0

# Set once: pictures are decoded in threads, where a filter cannot be set for a moment.
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)


def decode(source: Source | bytes) -> Pixels:
    """The picture as uint8 `[h, w, 3]`, RGB; `source` may be one of an item's, or a file's bytes.

    Raises `PictureError`, whose text is the same on every run, for what is no picture, is cut
    short, damaged, or larger than the limit.
    """
    name = source.name if isinstance(source, Path) else "the picture"
    try:
        if isinstance(source, bytes):  # first, as to ask a protocol takes time
            return _decode(source)
        return _decode(_read(source)) if isinstance(source, Path | Stored) else _drawn(source)
    except PictureError as error:
        raise PictureError(f"{name} {error}") from error.__cause__


def cropped(pixels: Pixels, box: Box | None) -> Pixels:
    """What of the picture lies in the box, clipped to it; all of it where there is no box.

    Fractions of pixels are cut off, as `int` does. Raises `PictureError` where nothing is left.
    """
    if box is None:
        return pixels
    if not all(map(math.isfinite, box)):
        raise PictureError(f"has a box that is not made of numbers, {_spelt(box)}.")
    left, top, right, bottom = (max(0, int(edge)) for edge in box)
    inside = pixels[top:bottom, left:right]
    if not inside.size:
        height, width = pixels.shape[:2]
        raise PictureError(f"is {width} x {height} and has nothing in its box {_spelt(box)}.")
    return inside


def _spelt(box: Box) -> str:
    return ", ".join(f"{edge:g}" for edge in box)


def unopened(source: Path | Stored) -> str:
    """Why a picture's head is none that would be read, or empty; nothing is decoded."""
    if isinstance(source, Path) and not source.is_file():
        return "does not exist or is no file"
    Image.MAX_IMAGE_PIXELS = max(PILLOWS_LIMIT, most_pixels())
    try:
        opened = source if isinstance(source, Path) else io.BytesIO(source.read())
        with Image.open(opened, formats=formats()) as image:
            return too_large(image.height, image.width).rstrip(".")
    except UnidentifiedImageError:
        return f"is no picture of a known kind ({', '.join(formats())})"
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        return f"has more pixels than {in_words()}"
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"
    except PictureError as error:
        return str(error).rstrip(".")
    except Exception as error:  # as in `_pillow`
        return f"is damaged ({error})"


def _read(source: Path | Stored) -> bytes:
    if isinstance(source, Path) and not source.is_file():  # a pipe or a device would never end
        raise PictureError("does not exist or is no file.")
    try:
        return source.read_bytes() if isinstance(source, Path) else source.read()
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


def plain_jpeg(content: bytes) -> tuple[int, int] | None:
    """Height and width of a whole colour JPEG, which a card decodes too; None for all else.

    Raises `PictureError` for one that is larger than the limit.
    """
    if not (content.startswith(b"\xff\xd8") and content.endswith(b"\xff\xd9")):
        return None  # other decoders fill up what was cut off, and say nothing
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(content)
    except ValueError:
        return None
    _check_size(int(height), int(width))
    return (int(height), int(width)) if colours == "YCbCr" else None


def _pillow(content: bytes) -> Pixels:
    Image.MAX_IMAGE_PIXELS = max(PILLOWS_LIMIT, most_pixels())
    try:
        with Image.open(io.BytesIO(content), formats=formats()) as image:
            _check_size(image.height, image.width)
            return to_rgb(image)
    except PictureError:
        raise
    except UnidentifiedImageError:
        raise PictureError(f"is no picture of a known kind ({', '.join(formats())}).") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise PictureError(f"has more pixels than {in_words()}.") from error
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
    if reason := too_large(height, width):
        raise PictureError(reason)
