"""Forwards of picture towers."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

from fits_parts.conditions import child, in_conditions
from fits_parts.timing import Rows, timed

TOWERS = {"demo": 2048, "ViT-B/32": 32}  # pictures


def forwards(asked: argparse.Namespace, until: float) -> Rows:
    """Two picture towers, in the four conditions."""
    return in_conditions(lambda more, end: child("forwards", [*TOWERS], asked, more, end), until)


def forwards_here(asked: argparse.Namespace, until: float) -> Rows:
    """Pictures that lie in memory through the towers."""
    from featcache.threads import wait_passively

    wait_passively()
    import numpy as np
    import open_clip

    from featcache import load_backbone
    from featcache.backbones.forward import encode_pictures

    demo = load_backbone("demo", device="cpu")
    for name, count in TOWERS.items():
        backbone = demo
        if name != "demo":
            model = open_clip.create_model("ViT-B-32", pretrained=None).eval()
            backbone = replace(demo, model=model, preprocess=replace(demo.preprocess, size=224))
        side = backbone.preprocess.size
        batch = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
        pass_on = (backbone, batch)
        encode_pictures(backbone, batch[:8])
        left = until - time.monotonic()
        yield name, timed(lambda pass_on=pass_on: encode_pictures(*pass_on), left)  # type: ignore[misc]
