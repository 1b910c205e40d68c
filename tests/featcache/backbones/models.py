"""A tiny model folder whose weights want QuickGELU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import open_clip
import torch
from safetensors.torch import save_file

from featcache.backbones.fetching import CONFIG

TINY = {
    "embed_dim": 32,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8, "head_width": 32},
    "text_cfg": {
        "context_length": 16,
        "vocab_size": 49408,
        "width": 32,
        "heads": 2,
        "layers": 2,
    },
}


PREPROCESS = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.25, 0.3], "interpolation": "bicubic"}


def write_folder(folder: Path, seed: int = 0, **preprocess: Any) -> Path:
    folder.mkdir(parents=True)
    config = {"model_cfg": TINY, "preprocess_cfg": {**PREPROCESS, **preprocess}}
    (folder / CONFIG).write_text(json.dumps(config))
    torch.manual_seed(seed)
    save_file(open_clip.CLIP(**TINY).state_dict(), folder / "open_clip_model.safetensors")
    return folder
