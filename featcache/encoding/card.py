"""Crops made on a card of pictures that come as bytes; what it cannot decode the CPU does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from featcache.backbones.backbone import Backbone
from featcache.backbones.memory import is_out_of_memory
from featcache.encoding.crops import Coded
from featcache.errors import PictureError
from featcache.pictures import card
from featcache.pictures.decode import decode

Squares = tuple[Tensor | None, list[Tensor], str]  # centre crop, views, or why there are none


def squares(coded: Sequence[Coded], backbone: Backbone) -> Iterator[Squares]:
    """The crops uint8 `[s, s, 3]` of each picture, on the backbone's device."""
    preprocess = backbone.preprocess
    for each, picture in zip(coded, _decoded(coded, backbone.device), strict=True):
        if isinstance(picture, str):
            yield None, [], picture
        else:
            centre = card.fit_square(picture, preprocess) if each.centre else None
            yield centre, [card.crop_resize(picture, v, preprocess) for v in each.views], ""


def _decoded(coded: Sequence[Coded], device: torch.device) -> list[Tensor | str]:
    """Each picture `[3, h, w]`, or why there is none."""
    if not coded:
        return []
    try:
        return list(card.decode_all([each.content for each in coded], device))
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
    # One of them is damaged, and nobody says which.
    return [_by_hand(each.content, device) for each in coded]


def _by_hand(content: bytes, device: torch.device) -> Tensor | str:
    try:
        return torch.from_numpy(decode(content)).permute(2, 0, 1).to(device)
    except PictureError as error:
        return str(error)
