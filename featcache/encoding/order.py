"""What `featcache encode` was asked for, in words by which any process can do a part of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from featcache.backbones.backbone import Backbone
from featcache.backbones.backbone import load as load_backbone
from featcache.backbones.names import DEMO
from featcache.datasets.dataset import Dataset
from featcache.datasets.registry import Reading, load_all
from featcache.encoding.encode import Request, encode_together
from featcache.encoding.report import Progress, Report
from featcache.encoding.running import Decoding
from featcache.pictures.limit import MAX_PIXELS, limit_pixels
from featcache.prompts import PromptBank
from featcache.prompts import bank as prompt_bank
from featcache.store.cache import FeatureCache


@dataclass(frozen=True)
class Order:
    """What is to be encoded with which backbones into which cache, and how.

    `reading` are words of `Reading`. The `request` has no bank yet, and its views are mirrored
    where the data set's may be. Paths are those seen from `folder`.
    """

    dataset: str
    cache: Path
    backbones: tuple[str, ...] = (DEMO,)
    pretrained: str | None = None
    device: str = "auto"
    precision: str = "auto"
    prompts: str | None = None
    reading: Mapping[str, Any] = field(default_factory=dict)
    max_pixels: int = MAX_PIXELS
    request: Request = Request()  # noqa: RUF009 - it is frozen
    decoding: Decoding = Decoding()  # noqa: RUF009
    folder: Path = field(default_factory=Path.cwd)


def read(order: Order) -> list[tuple[Dataset, PromptBank]]:
    """The data sets, each with its prompts. Raises what reading them raises."""
    limit_pixels(order.max_pixels)
    found = load_all(order.dataset, Reading(**order.reading))
    return [(data, prompt_bank(order.prompts, data)) for data in found]


def load(order: Order, name: str) -> Backbone:
    """One of the backbones. Raises what loading it raises."""
    return load_backbone(name, order.pretrained, device=order.device, precision=order.precision)


def encode(
    order: Order,
    data: Dataset,
    bank: PromptBank,
    backbones: Sequence[Backbone],
    progress: Progress = lambda done, total: None,
) -> list[Report | Exception]:
    """Encode one of the data sets, or the order's part of it; see `encode_together`."""
    request, views = order.request, order.request.views
    if views is not None:
        request = replace(request, views=replace(views, flip=data.flip and views.flip))
    request = replace(request, bank=bank)
    cache = FeatureCache(order.cache)
    return encode_together(data, backbones, cache, request, order.decoding, progress)
