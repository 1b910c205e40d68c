"""Models with text towers of several kinds and random weights, loaded through `local-dir:`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import open_clip
import torch
from safetensors.torch import save_file

from featcache.backbones.backbone import Backbone, load
from featcache.backbones.fetching import CONFIG

SMALL = {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16}
PREPROCESS = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.25, 0.3], "interpolation": "bicubic"}
# Of open_clip's own configurations, by what is said of them here.
SERVED = {
    "ViT-B/32": "ViT-B-32-quickgelu",
    "RN50": "RN50-quickgelu",
    "ViT-L/14": "ViT-L-14",
    "EVA": "EVA02-B-16",
}
REFUSED = {"CoCa": "coca_ViT-B-32", "SigLIP": "ViT-B-16-SigLIP", "MobileCLIP": "MobileCLIP-S1"}


def loaded(folder: Path, kind: str, small: bool = True, **text: Any) -> Backbone:
    """The model of that configuration, with a small image tower; `small` also its text tower."""
    config = open_clip.get_model_config({**SERVED, **REFUSED}[kind])
    assert config is not None
    of_text = {k: v for k, v in config["text_cfg"].items() if not k.startswith("hf_")}
    of_text |= {"vocab_size": 49408, "tokenizer_kwargs": {}}
    if small:
        heads = of_text.get("heads", 8)
        of_text |= {"layers": 2, "width": 8 * heads, "heads": heads}
    of_text |= text
    config = {**config, "vision_cfg": SMALL, "text_cfg": of_text}
    if small and "multimodal_cfg" in config:
        width, heads = of_text["width"], of_text["heads"]
        config["multimodal_cfg"] |= {"layers": 1, "width": width, "heads": heads}
        config["embed_dim"] = width
    folder.mkdir(parents=True)
    (folder / CONFIG).write_text(json.dumps({"model_cfg": config, "preprocess_cfg": PREPROCESS}))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = open_clip.create_model(f"local-dir:{folder}", load_weights=False)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return load(f"local-dir:{folder}", device="cpu", precision="fp32")
