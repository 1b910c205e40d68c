"""Pictures a second from JPEG files to shards, by stage, beside the model's forward-only rate.

    python benchmarks/encoding.py [--model ViT-B-16] [--pictures 20000] [--device auto]

The weights are random: speed does not depend on them. Pictures are 500 x 375 JPEGs made on the
spot. Writes benchmarks/results/encoding-<device>-<model>.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path

import numpy as np
import open_clip
import torch
from PIL import Image
from safetensors.torch import save_file

from featcache import FeatureCache, encode_dataset, load_backbone
from featcache.backbones.backbone import Backbone
from featcache.backbones.forward import encode_pictures
from featcache.datasets.dataset import Dataset, Item


def main() -> None:
    cuda = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="ViT-B-16" if cuda else "demo")
    parser.add_argument("--pictures", type=int, default=20000 if cuda else 4000)
    parser.add_argument("--batch-size", type=int, default=512 if cuda else 256)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        name = arguments.model
        backbone = load_backbone(
            name if name == "demo" else random_weights(name, folder),
            device=arguments.device,
            precision=arguments.precision,
        )
        dataset = pictures(folder / "pictures", arguments.pictures)
        report = encode_dataset(
            dataset,
            backbone,
            FeatureCache(folder / "cache"),
            batch_size=arguments.batch_size,
            workers=arguments.workers,
        )
        forward = forward_rate(backbone, arguments.batch_size)
    cores = os.cpu_count()
    gpu = torch.cuda.get_device_name() if backbone.device.type == "cuda" else None
    document = {
        "model": name,
        "device": gpu or f"{cores} CPU cores, {platform.machine()}",
        "cpu_cores": cores,
        "precision": backbone.precision,
        "pictures": report.encoded,
        "picture": "500 x 375 JPEG, quality 90",
        "batch_size": arguments.batch_size,
        "img_per_s": report.encoded / report.wall,
        "forward_only_img_per_s": forward,
        "share_of_forward_only": report.encoded / report.wall / forward,
        "wall_seconds": report.wall,
        "seconds": report.seconds,
        "torch": torch.__version__,
    }
    place = "cpu" if gpu is None else gpu.lower().replace(" ", "-")
    path = Path(__file__).parent / "results" / f"encoding-{place}-{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")
    print(json.dumps(document, indent=1))


def random_weights(model: str, folder: Path) -> str:
    """A local-dir model of that architecture with random weights."""
    made = open_clip.create_model(model, pretrained=None)
    target = folder / "weights"
    target.mkdir()
    save_file(
        {key: value.contiguous() for key, value in made.state_dict().items()},
        target / "open_clip_model.safetensors",
    )
    config = {"model_cfg": open_clip.get_model_config(model), "preprocess_cfg": {}}
    (target / "open_clip_config.json").write_text(json.dumps(config))
    return f"local-dir:{target}"


def pictures(folder: Path, count: int) -> Dataset:
    """`count` items over 64 files, so that the disk holds little and the decoder works as ever."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    paths = []
    for i in range(64):
        rough = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        picture = Image.fromarray(rough).resize((500, 375), Image.Resampling.BICUBIC)
        noisy = np.asarray(picture, np.int16) + rng.integers(-12, 13, (375, 500, 3))
        path = folder / f"{i}.jpg"
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path, quality=90)
        paths.append(path)
    items = tuple(Item(f"{i}", paths[i % 64], i % 2) for i in range(count))
    return Dataset("bench", ("a", "b"), {"train": items})


def forward_rate(backbone: Backbone, batch_size: int) -> float:
    """Pictures a second of the model alone, on pictures that lie in memory."""
    side = backbone.preprocess.size
    batch = np.random.default_rng(0).integers(0, 256, (batch_size, side, side, 3), dtype=np.uint8)
    for _ in range(3):
        encode_pictures(backbone, batch)
    began, rounds = time.perf_counter(), 0
    while time.perf_counter() - began < 5:
        encode_pictures(backbone, batch)
        rounds += 1
    return rounds * batch_size / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
