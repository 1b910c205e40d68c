"""Pictures and models that are made on the spot."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import open_clip
from PIL import Image
from safetensors.torch import save_file

from featcache import load_backbone
from featcache.backbones.backbone import Backbone
from featcache.datasets.dataset import Dataset, Item
from featcache.resources import data_path

SIZE = (500, 375)
FILES = 5_000  # of which each picture is one; of more, 64
USUAL, SMALL = (12, 90), (3, 75)  # how noisy pictures are, and the quality of their JPEGs


def loaded(model: str, folder: Path, device: str) -> tuple[Backbone, str]:
    """The backbone, of random weights where it is not demo, and what open_clip calls it."""
    source = f"local-dir:{data_path(model)}" if model == "demo" else random_weights(model, folder)
    return load_backbone("demo" if model == "demo" else source, device=device), source


def with_side(backbone: Backbone, side: int) -> Backbone:
    return replace(backbone, preprocess=replace(backbone.preprocess, size=side))


def random_weights(model: str, folder: Path) -> str:
    """A local-dir model of that architecture with random weights."""
    target = folder / model
    if not target.is_dir():
        target.mkdir()
        made = open_clip.create_model(model, pretrained=None)
        weights = {key: value.contiguous() for key, value in made.state_dict().items()}
        save_file(weights, target / "open_clip_model.safetensors")
        config = {"model_cfg": open_clip.get_model_config(model), "preprocess_cfg": {}}
        (target / "open_clip_config.json").write_text(json.dumps(config))
    return f"local-dir:{target}"


@dataclass(frozen=True, slots=True)
class Numbered:
    """A JPEG file with a number behind its end: another picture's bytes, decoded alike."""

    file: Path
    number: int

    def read(self) -> bytes:
        return self.file.read_bytes() + self.number.to_bytes(4, "big")


def pictures(folder: Path, count: int, kind: tuple[int, int] = USUAL) -> Dataset:
    """`count` items, half of the training split, a fifth of val, the rest of test.

    No two have the same bytes, as those would go through the model once. Where they are many they
    share 64 files, so that the disk holds little, and cost each some 20 us more to read.
    """
    place = folder / "-".join(map(str, ("pictures", *kind)))
    paths = list(_files(place, kind))
    numbered = (Numbered(paths[i % 64], i) for i in range(count))
    sources = list(numbered if count > FILES else map(partial(_written, place), numbered))
    items = tuple(Item(f"{i}", source, i % 2) for i, source in enumerate(sources))
    train, val = count // 2, count // 2 + count // 5
    splits = {"train": items[:train], "val": items[train:val], "test": items[val:]}
    return Dataset("bench", ("a", "b"), splits)


def _written(folder: Path, picture: Numbered) -> Path:
    path = folder / f"of-{picture.number}.jpg"
    if not path.is_file():
        path.write_bytes(picture.read())
    return path


def files(data: Dataset) -> list[Path]:
    """The files, each once."""
    sources = {item.source for rows in data.splits.values() for item in rows}
    return sorted({each.file if isinstance(each, Numbered) else each for each in sources})


def kilobytes(data: Dataset) -> float:
    """The mean size of the files."""
    paths = files(data)
    return round(sum(path.stat().st_size for path in paths) / len(paths) / 1000, 1)


def _files(folder: Path, kind: tuple[int, int]) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    rng, (noise, quality) = np.random.default_rng(0), kind
    width, height = SIZE
    for i in range(64):
        path = folder / f"{i}.jpg"
        if not path.is_file():
            rough = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
            picture = Image.fromarray(rough).resize(SIZE, Image.Resampling.BICUBIC)
            more = rng.integers(-noise, noise + 1, (height, width, 3))
            noisy = np.asarray(picture, np.int16) + more
            Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path, quality=quality)
        yield path
