"""Pictures of many kinds, and what other libraries make of them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from torchvision.transforms import Compose

from featcache.pictures.preprocess import Preprocess

PLAIN = Preprocess(32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def smooth(height: int, width: int, seed: int = 0) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 7, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def stored(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def by_pillow(content: bytes) -> NDArray[np.uint8]:
    return np.array(Image.open(io.BytesIO(content)).convert("RGB"))


def by_open_clip(image: Image.Image, preprocess: Preprocess) -> NDArray[np.uint8]:
    config = PreprocessCfg(
        size=preprocess.size,
        interpolation=preprocess.interpolation,
        resize_mode=preprocess.resize_mode,
        fill_color=preprocess.fill_color,
    )
    before_tensor = Compose(image_transform_v2(config, is_train=False).transforms[:-2])
    return np.array(before_tensor(image))


def distance(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other.astype(int)).max())


def kinds() -> dict[str, bytes]:
    image = smooth(61, 83)
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn by 90 degrees"
    clear = image.convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(image.size))
    see_through = image.quantize(8)
    see_through.info["transparency"] = bytes([0, 128, 255])
    deep = Image.fromarray(np.linspace(0, 60000, 61 * 83).reshape(61, 83).astype(np.uint16))
    others = [smooth(61, 83, seed) for seed in (1, 2)]
    return {
        "jpeg": stored(image, "JPEG", quality=90),
        "jpeg 4:4:4": stored(image, "JPEG", subsampling=0),
        "jpeg progressive": stored(image, "JPEG", progressive=True),
        "jpeg rgb": stored(image, "JPEG", keep_rgb=True),
        "jpeg grey": stored(image.convert("L"), "JPEG"),
        "jpeg cmyk": stored(image.convert("CMYK"), "JPEG"),
        "jpeg turned": stored(image, "JPEG", exif=exif),
        "png": stored(image, "PNG"),
        "png alpha": stored(clear, "PNG"),
        "png palette": stored(image.quantize(16), "PNG"),
        "png see-through palette": stored(see_through, "PNG", transparency=bytes([0, 128, 255])),
        "png two colours": stored(image.convert("1"), "PNG"),
        "png 16 bit": stored(deep, "PNG"),
        "png grey alpha": stored(image.convert("LA"), "PNG"),
        "webp": stored(image, "WEBP"),
        "bmp": stored(image, "BMP"),
        "ppm": stored(image, "PPM"),
        "tiff": stored(image, "TIFF", compression="tiff_lzw"),
        "gif": stored(image, "GIF"),
        "gif animated": stored(image, "GIF", save_all=True, append_images=others),
    }
