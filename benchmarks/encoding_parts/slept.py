"""The pipeline alone, as beside a card and many cores: decoders that sleep, a model of no time.

What a process that decodes does of itself is left (its messages, its crops into shared memory), and
what the caller does with them: whether it keeps so many decoders at work shows on two cores too.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from encoding_parts.loops import BANK
from encoding_parts.material import with_side
from encoding_parts.result import rate
from featcache import FeatureCache, encode_dataset, load_backbone
from featcache.backbones.backbone import Backbone
from featcache.datasets.dataset import Dataset, Item
from featcache.encoding import staging
from featcache.encoding.decoding import processes
from featcache.encoding.decoding.crops import Maker, Wanted
from featcache.pictures.views import ViewRecipe

DECODERS, MILLISECONDS, PICTURES, SIDE = 10, 4.4, 20_000, 224


@dataclass(frozen=True)
class Slept:
    """A picture that takes no core to decode, and is no other's equal."""

    milliseconds: float
    number: int

    def pixels(self) -> np.ndarray:
        time.sleep(self.milliseconds / 1000)
        made = _noise().copy()
        made[0, :4, 0] = np.frombuffer(self.number.to_bytes(4, "big"), np.uint8)
        return made


@cache
def _noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


def pipeline_alone(rounds: int) -> dict[str, Any]:
    """Pictures a second of so many decoders alone, and of the product with them."""
    items = tuple(Item(f"{i}", Slept(MILLISECONDS, i), i % 2) for i in range(PICTURES))
    data = Dataset("slept", ("a", "b"), {"train": items, "test": items[:1]})
    backbone = with_side(load_backbone("demo", device="cpu"), SIDE)
    processes.waiting(os.getpid()).have(DECODERS)
    _decode(items, backbone)  # until all of them are up
    decode = [rate(PICTURES, lambda: _decode(items, backbone)) for _ in range(rounds)]
    product = [rate(PICTURES, lambda: _product(data, backbone)) for _ in range(rounds)]
    return {
        "decoders": DECODERS,
        "milliseconds_a_picture": MILLISECONDS,
        "pictures": PICTURES,
        "decode_only": round(median(decode)),
        "product": round(median(product)),
        "share": round(median(product) / median(decode), 3),
    }


def _decode(items: Sequence[Item], backbone: Backbone) -> None:
    asked = ((Wanted(item, True, False),) for item in items)
    makers = [Maker(ViewRecipe(0), backbone.preprocess)]
    with processes.crops_from_processes(asked, makers, DECODERS) as crops:
        for _ in crops:
            pass


def _product(data: Dataset, backbone: Backbone) -> None:
    def no_time(backbone: Backbone, pictures: Tensor, *rest: Any) -> dict[str, Tensor]:
        return {"embedding": torch.zeros(len(pictures), backbone.width)}

    with TemporaryDirectory() as cache, patch.object(staging, "features_of", no_time):
        encode_dataset(
            data,
            backbone,
            FeatureCache(Path(cache)),
            bank=BANK,
            workers=DECODERS,
            decode_in="processes",
        )
