"""Modes of pictures to RGB: 8 bits as Pillow converts them, deeper ones scaled to 8 bits first.

Pillow's own `convert("RGB")` clips at 255, which makes 16-bit pictures white and floats black.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from featcache.errors import PictureError

BITS_PER_SAMPLE = 258  # the tag of TIFF
FULL_16, FULL_32 = 2**16 - 1, 2**31 - 1
FROM_FULL_32 = 2**24  # on the range of 32 bits anything below is black, or meant otherwise


def to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """The picture as uint8 `[h, w, 3]`; PictureError for values whose range is not known.

    Whole numbers up to 255 are taken as they are, in whatever they are stored; other 16-bit
    pictures are on the full range of 16 bits, or on that which the file states; 32-bit ones on
    that of 16 bits or of 31; floats on 0 … 1 where none is above 1, or else on 0 … 255.
    """
    if image.mode == "F" or image.mode.startswith("I"):
        full = _full_range(image)
        if full != 255:
            grey = np.rint(np.asarray(image, np.float64) * (255 / full)).astype(np.uint8)
            return np.repeat(grey[..., None], 3, axis=2)
    elif "transparency" in image.info:  # the same colours, without a warning each time
        return np.array(image.convert("RGBA").convert("RGB"))
    elif image.mode == "La":
        return np.array(image.convert("LA").convert("RGB"))
    return np.array(image.convert("RGB"))


def _full_range(image: Image.Image) -> int:
    """The value that is white."""
    values = np.asarray(image)
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)) or low < 0:
        raise PictureError(
            f"has values from {low:g} to {high:g}, which are no brightness; scale them to 0 … 255."
        )
    if image.mode == "F":
        full = 1 if high <= 1 else 255
    elif high <= 255:
        full = 255
    elif image.mode != "I":
        full = _stated_range(image)
    elif high <= FULL_16:
        full = FULL_16
    else:
        full = FULL_32 if high >= FROM_FULL_32 else 0
    if high > full:
        raise PictureError(f"has values up to {high:g}, a range not known; scale them to 0 … 255.")
    return full


def _stated_range(image: Image.Image) -> int:
    """White of a 16-bit picture: that of 12 bits where a TIFF says so, or else of all 16."""
    tags = getattr(image, "tag_v2", None)
    return 2**12 - 1 if tags and tags.get(BITS_PER_SAMPLE) in (12, (12,)) else FULL_16
