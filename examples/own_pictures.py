"""A classifier from a folder of one's own pictures, without touching the command line.

    python examples/own_pictures.py FOLDER [PICTURE ...]

FOLDER holds one sub-folder a class (or train/, val/ and test/ with those).
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

import adapters
from featcache import FeatureCache, ViewRecipe, embed, encode_dataset, load_backbone, load_dataset

folder, pictures = sys.argv[1], [Path(name) for name in sys.argv[2:]]

# 1. Encode once: every picture, ten augmented views of those that can be drawn, every prompt.
backbone = load_backbone("demo")  # with network: "ViT-B/16"
dataset = load_dataset(folder)
report = encode_dataset(dataset, backbone, FeatureCache("cache"), views=ViewRecipe(10))
print(f"{report.encoded} pictures encoded, {report.skipped} were there already")

# 2. Fit in seconds: at most 16 pictures a class, settings as they stand.
smallest = min(
    sum(item.label == label for item in dataset.splits["train"])
    for label in range(len(dataset.classnames))
)
outcome = adapters.fit(report.entry, "tip-adapter", shots=min(16, smallest), policy="none")
print(f"{outcome.row['accuracy']:.1f} % of {outcome.row['n_test']} test pictures are right")

# 3. Use it.
for picture, name in zip(
    pictures,
    outcome.adapter.predict(torch.from_numpy(embed(backbone, pictures))) if pictures else [],
    strict=True,
):
    print(f"{picture}: {name}")
