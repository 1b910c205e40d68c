"""Work that is measured on any device: decoding, the model, the product, and the plain loop."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import open_clip
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from featcache import FeatureCache, encode_dataset
from featcache.backbones.backbone import Backbone
from featcache.backbones.forward import features_of
from featcache.datasets.dataset import Dataset
from featcache.encoding.decoding.crops import Maker, Wanted, crops_ahead
from featcache.pictures.views import ViewRecipe
from featcache.prompts import PromptBank

BANK = PromptBank("one", (("a",), ("b",)))


def decode(data: Dataset, backbone: Backbone, workers: int) -> None:
    """Read, decode and crop pictures as the product does, without a model."""
    items = [item for rows in data.splits.values() for item in rows]
    asked = ((Wanted(item, True, False),) for item in items)
    with crops_ahead(asked, [Maker(ViewRecipe(0), backbone.preprocess)], workers) as crops:
        for _ in crops:
            pass


def forward(backbone: Backbone, size: int, rounds: int) -> None:
    """The model alone, on so many batches that lie in memory."""
    side = backbone.preprocess.size
    batch = torch.randint(0, 256, (size, side, side, 3), dtype=torch.uint8)
    for _ in range(rounds):
        features_of(backbone, batch)


def product(data: Dataset, backbone: Backbone, workers: int) -> None:
    """`featcache encode`, all of it but loading the model."""
    with tempfile.TemporaryDirectory() as cache:
        encode_dataset(data, backbone, FeatureCache(cache), bank=BANK, workers=workers)


class Files(TorchDataset[torch.Tensor]):
    def __init__(
        self, paths: list[Path], preprocess: Callable[[Image.Image], torch.Tensor]
    ) -> None:
        self.paths, self.preprocess = paths, preprocess

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> torch.Tensor:
        return self.preprocess(Image.open(self.paths[row]).convert("RGB"))


def plain(data: Dataset, backbone: Backbone, source: str, size: int) -> list[np.ndarray]:
    """The loop that people write: Pillow and open_clip's transform in a loader's worker a core."""
    _, _, preprocess = open_clip.create_model_and_transforms(source)
    model, device = backbone.model, backbone.device
    low = device.type == "cuda"
    out = []
    for items in data.splits.values():
        files = Files([Path(str(item.source)) for item in items], preprocess)
        workers = os.cpu_count() or 1
        loader = DataLoader(files, batch_size=size, num_workers=workers, pin_memory=low)
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=low):
            for batch in loader:
                out.append(model.encode_image(batch.to(device)).float().cpu().numpy())
    return out
