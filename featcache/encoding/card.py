"""Crops made on a card of pictures that come as bytes; what it cannot decode the CPU does."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import torch
from torch import Tensor

from featcache.backbones.backbone import Backbone
from featcache.backbones.memory import is_out_of_memory
from featcache.encoding.decoding.crops import Coded
from featcache.errors import BackboneError, PictureError
from featcache.pictures import card
from featcache.pictures.decode import decode

Squares = tuple[Tensor | None, list[Tensor], str]  # centre crop, views, or why there are none


def squares(coded: Sequence[Coded], backbone: Backbone) -> list[Squares]:
    """The crops uint8 `[s, s, 3]` of each picture, on the backbone's device.

    Where there is no room for all of them they are made by halves. Raises `BackboneError` where
    there is none for a single one.
    """
    try:
        return _squares(coded, backbone)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        if len(coded) == 1:
            raise BackboneError(
                f"{backbone.device} has no room to decode a single picture beside {backbone.name}; "
                "make room there, or leave out --decode-in card."
            ) from error
    # Outside of the handler, or its traceback would keep what was made.
    with suppress(RuntimeError):
        torch.cuda.empty_cache()
    half = len(coded) // 2
    return [*squares(coded[:half], backbone), *squares(coded[half:], backbone)]


def _squares(coded: Sequence[Coded], backbone: Backbone) -> list[Squares]:
    preprocess, pictures = backbone.preprocess, _decoded(coded, backbone.device)
    centres = _centres(pictures, backbone)
    found: list[Squares] = []
    for i, (each, picture) in enumerate(zip(coded, pictures, strict=True)):
        if isinstance(picture, str):
            found.append((None, [], picture))
        else:
            views = [card.crop_resize(picture, v, preprocess) for v in each.views]
            found.append((centres[i] if each.centre else None, views, ""))
    return found


def _centres(pictures: Sequence[Tensor | str], backbone: Backbone) -> dict[int, Tensor]:
    """The centre crops, those of one size together."""
    alike: dict[torch.Size, list[int]] = {}
    for i, picture in enumerate(pictures):
        if isinstance(picture, Tensor):
            alike.setdefault(picture.shape, []).append(i)
    found: dict[int, Tensor] = {}
    for places in alike.values():
        together = torch.stack([each for i in places if isinstance(each := pictures[i], Tensor)])
        found |= dict(zip(places, card.fit_square(together, backbone.preprocess), strict=True))
    return found


def _decoded(coded: Sequence[Coded], device: torch.device) -> list[Tensor | str]:
    """Each picture `[3, h, w]`, or why there is none."""
    if not coded:
        return []
    try:
        return list(card.decode_all([torch.from_numpy(c.content) for c in coded], device))
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
    # One of them is damaged, and nobody says which.
    return [_by_hand(each.content.tobytes(), device) for each in coded]


def _by_hand(content: bytes, device: torch.device) -> Tensor | str:
    try:
        return torch.from_numpy(decode(content)).permute(2, 0, 1).to(device)
    except PictureError as error:
        return str(error)
