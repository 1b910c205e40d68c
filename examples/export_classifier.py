"""A folder of one's own pictures becomes a classifier that needs neither featcache nor torch.

    python examples/export_classifier.py FOLDER [--out classifier]

FOLDER holds one sub-folder a class. What is written is for `examples/classify.py`: the image tower
(`tower.onnx`, prepared pictures in, raw embeddings out) and the head (`head.onnx` and `head.json`).
Needs `pip install 'featcache[export]'`.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

import torch

import adapters
from adapters.using.exporting import export
from featcache import FeatureCache, encode_dataset, load_backbone, load_dataset

parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("folder")
parser.add_argument("--out", type=Path, default=Path("classifier"))
arguments = parser.parse_args()

# 1. Encode and fit; calibrated, so that its probabilities can be relied on.
backbone = load_backbone("demo", device="cpu")  # with network: "ViT-B/16"
report = encode_dataset(load_dataset(arguments.folder), backbone, FeatureCache("cache"))
outcome = adapters.fit(report.entry, "gda", shots="all", policy="none", calibrate=True)

# 2. The head, with its classes and how pictures are prepared beside it.
apart = export(
    outcome.adapter, arguments.out / "head.onnx", "probabilities", asdict(backbone.preprocess)
)
print(f"head.onnx differs from the adapter by {apart:.1e}")


# 3. The image tower.
class Tower(torch.nn.Module):
    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.model.encode_image(pictures)


size = backbone.preprocess.size
program = torch.onnx.export(
    Tower(backbone.model).eval(),
    (torch.zeros(2, 3, size, size),),
    dynamo=True,
    input_names=["pictures"],
    output_names=["embedding"],
    dynamic_shapes=({0: torch.export.Dim("n")},),
    verbose=False,
)
program.save(str(arguments.out / "tower.onnx"))
print(f"written to {arguments.out}")
