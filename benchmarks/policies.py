"""Accuracy by the policy that chooses the settings, as the table of docs/methods.md.

    featcache encode --dataset digits --backbone demo     (and shapes)
    python benchmarks/policies.py [--cache DIR] [--features DIR] [--methods tip-adapter,gda]

--features is the folder of WHU-RS19's CLIP_ViT-B-32.npz; its rows are left out without. Times are
processor seconds of a fit with its choice, on one thread.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from adapters.drawing import draw
from adapters.experiment import Experiment
from adapters.fitting import run
from featcache import FeatureCache, import_features
from featcache.store.entry import Entry

PAGE = Path(__file__).parents[1] / "docs" / "methods.md"
BEGIN, END = "<!-- written by benchmarks/policies.py -->", "<!-- so far -->"
POLICIES = ("none", "loo", "hoso", "few-shot-val", "full-val")
SHOTS, SEEDS = (1, 2, 4, 8, 16), (1, 2, 3)
METHODS: dict[str, dict[str, Any]] = {
    "tip-adapter": {},
    "gda": {},
    "ncm, search": {"search": True},
    "mix": {},
    "krr-press": {},
    "krr-press, by=policy": {"by": "policy"},
    "clip-adapter, 60 steps of 48": {"steps": 60, "batch": 48},  # so that all takes minutes
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--features", type=Path, default=os.environ.get("WHURS19"))
    parser.add_argument("--methods", default=";".join(METHODS), help="separated by ;")
    parser.add_argument("--out", type=Path, default=PAGE)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    methods = arguments.methods.split(";")
    with tempfile.TemporaryDirectory() as folder:
        entries = [
            FeatureCache(arguments.cache).find(name, "demo") for name in ("digits", "shapes")
        ]
        if arguments.features:
            path = arguments.features / "CLIP_ViT-B-32.npz"
            cache = FeatureCache(folder)
            entries.append(import_features([path], "whurs19", "ViT-B-32", cache))
        text = "\n".join(section(entry, methods) for entry in entries)
    before, _, rest = arguments.out.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    arguments.out.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", encoding="utf-8")


def section(entry: Entry, methods: list[str]) -> str:
    """A table of a data set: a row a method, a column a policy, shots in each cell."""
    rows = []
    for name in methods:
        cells = [cell(entry, name, policy) for policy in POLICIES]
        rows.append(f"| `{name}` | {' | '.join(cells)} |")
        print(entry.dataset, rows[-1], flush=True)
    head = f"| {entry.dataset} | {' | '.join(f'`{policy}`' for policy in POLICIES)} |"
    return "\n".join([head, "| --- |" + " --- |" * len(POLICIES), *rows, ""])


def cell(entry: Entry, name: str, policy: str) -> str:
    """Means over seeds by shots, and the seconds of the largest."""
    means, began, spent = [], 0.0, 0.0
    for shots in SHOTS:
        found = []
        began = time.process_time()
        for seed in SEEDS:
            words = Experiment(name.partition(",")[0], shots, seed, policy, METHODS[name], views=0)
            drawn = draw(entry, shots, seed, views=0)
            found.append(run(entry, words, drawn).row["accuracy"])
        spent = (time.process_time() - began) / len(SEEDS)
        means.append(f"{sum(found) / len(found):.1f}")
    return f"{' / '.join(means)} ({spent:.1f} s)"


if __name__ == "__main__":
    main()
