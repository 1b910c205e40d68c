from __future__ import annotations

import io
import struct
import zipfile
import zlib
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from featcache.images import MAX_PIXELS, Preprocess, crop_resize, decode, fit_square
from featcache.views import View
from numpy.typing import NDArray
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from torchvision.transforms import Compose
from torchvision.transforms import functional as vision

from featcache.errors import ConfigError, PictureError

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
