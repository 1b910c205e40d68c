"""Pictures decoded and resized on a CUDA card: a preprocessing of its own name.

nvJPEG rounds otherwise than Pillow's decoder, and floats are resized here where bytes are on a CPU:
features differ, so that such an entry is another one than that of the same model's preprocessing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from featcache.pictures.preprocess import Preprocess, resized_to
from featcache.pictures.views import View


@dataclass(frozen=True, slots=True)
class OnCard(Preprocess):
    """How a model wants its pictures, made on the card; `decoder` is part of the fingerprint."""

    decoder: str = "nvjpeg, torch float antialias"


def on_card(preprocess: Preprocess) -> OnCard:
    """The same, but decoded and resized on the card."""
    return OnCard(
        **{**asdict(preprocess), "decoder": OnCard.__dataclass_fields__["decoder"].default}
    )


def decode_all(contents: Sequence[Tensor], device: torch.device) -> list[Tensor]:
    """Pictures uint8 `[3, h, w]` on the device, of the bytes of whole colour JPEGs.

    Raises `RuntimeError` where one of them is damaged.
    """
    from torchvision.io import ImageReadMode, decode_jpeg

    return list(decode_jpeg(list(contents), mode=ImageReadMode.RGB, device=device))


def fit_square(pictures: Tensor, preprocess: Preprocess) -> Tensor:
    """Whole pictures `[n, 3, h, w]` as uint8 `[n, s, s, 3]`, resized and cropped as on a CPU."""
    size = preprocess.size
    height, width = resized_to(pictures.shape[2], pictures.shape[3], preprocess)
    resized = _resize(pictures, height, width, preprocess)
    down, right = max(0, size - height), max(0, size - width)
    if down or right:
        pads = (right // 2, (right + 1) // 2, down // 2, (down + 1) // 2)
        resized = torch.nn.functional.pad(resized, pads, value=preprocess.fill_color)
        height, width = resized.shape[2:]
    top, left = round((height - size) / 2), round((width - size) / 2)
    return resized[:, :, top : top + size, left : left + size].permute(0, 2, 3, 1)


def crop_resize(picture: Tensor, view: View, preprocess: Preprocess) -> Tensor:
    """One view of a picture as uint8 `[s, s, 3]`: the box, resized to the square, or its mirror."""
    box = picture[:, view.top : view.top + view.height, view.left : view.left + view.width]
    square = _resize(box[None], preprocess.size, preprocess.size, preprocess)[0]
    return (square.flip(2) if view.flipped else square).permute(1, 2, 0)


def _resize(pictures: Tensor, height: int, width: int, preprocess: Preprocess) -> Tensor:
    if pictures.shape[2:] == (height, width):
        return pictures
    resized = torch.nn.functional.interpolate(
        pictures.float(),
        (height, width),
        mode=preprocess.interpolation,
        antialias=True,
        align_corners=False,
    )
    return resized.round().clamp(0, 255).to(torch.uint8)
