"""Accuracy of default recipes beside the published or longer ones, as a table of docs/methods.md.

    featcache encode --dataset digits --backbone demo     (and shapes)
    python benchmarks/recipes.py [--cache DIR] [--features DIR] [--seeds 11,12] [--write]

Pairs of fits on the same draws, centre crops alone, policy full-val: the default, and what it was
made shorter from. Defaults that are cut above some thousand pictures alone train here, at 16 shots,
as many passes as they do at 1,000 classes x 16 shots. --features is the folder of WHU-RS19's
CLIP_*.npz; its seeds 1 to 3 are those that docs/results.md reports, and are no part of this. Rows
are kept in benchmarks/results/recipes.json, and a run that was stopped goes on; --write makes the
table alone.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from adapters.drawing import draw
from adapters.episode import Draw
from adapters.experiment import Experiment
from adapters.fitting import run
from featcache import FeatureCache, import_features
from featcache.store.entry import Entry

PAGE = Path(__file__).parents[1] / "docs" / "methods.md"
RESULTS = Path(__file__).parent / "results" / "recipes.json"
BEGIN, END = "<!-- written by benchmarks/recipes.py -->", "<!-- recipes end -->"
BACKBONES = ("RN50", "ViT-B-32", "ViT-L-14")
WORLDS = ("digits", "shapes")
SEEDS, SHOTS = (11, 12, 13, 14, 15), (1, 4, 16)
# What each default was made shorter from.
LONGER: dict[str, dict[str, Any]] = {
    "ape-t": {"preset": "paper"},
    "clip-adapter": {"steps": 300, "batch": 128, "learning_rate": 1e-3},
    "fma": {"preset": "long"},
    "taskres": {"preset": "paper"},
    "tip-adapter-f": {"preset": "paper"},
    "zs-lp": {"preset": "paper"},
}
# Passes over 16,000 pictures, which are not cut at so few: epochs that `most_steps` leaves.
PASSES = {"ape-t": 10, "taskres": 39, "tip-adapter-f": 5, "zs-lp": 79}
BATCH = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--features", type=Path, default=os.environ.get("WHURS19"))
    parser.add_argument("--methods", default=",".join(LONGER))
    parser.add_argument("--seeds", default=",".join(map(str, SEEDS)))
    parser.add_argument("--write", action="store_true", help="make the table of what is there")
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows: dict[str, dict[str, float]] = {}
    if arguments.results.exists():
        rows = json.loads(arguments.results.read_text())
    if not arguments.write:
        with tempfile.TemporaryDirectory() as folder:
            entries = found(arguments.cache, arguments.features, Path(folder))
            for seed in map(int, arguments.seeds.split(",")):
                for name in arguments.methods.split(","):
                    compared(entries, name, seed, rows)
                    arguments.results.write_text(json.dumps(rows, indent=1, sort_keys=True) + "\n")
    text = table(rows)
    print(text)
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


def found(cache: Path | None, features: Path | None, folder: Path) -> dict[str, Entry]:
    """The entries that are there, by the name of a column."""
    entries = {name: FeatureCache(cache).find(name, "demo") for name in WORLDS}
    for name in BACKBONES if features else ():
        entries[name] = import_features(
            [Path(features or "") / f"CLIP_{name}.npz"], "whurs19", name, FeatureCache(folder)
        )
    return entries


def compared(
    entries: dict[str, Entry], name: str, seed: int, rows: dict[str, dict[str, float]]
) -> None:
    """Both recipes on every draw of a seed that has no row yet."""
    for where, entry in entries.items():
        for shots in SHOTS if name not in PASSES else SHOTS[-1:]:
            key = f"{name} {where} {shots} {seed}"
            if key in rows:
                continue
            began, drawn = time.process_time(), draw(entry, shots, seed, views=0)
            default = accuracy(entry, drawn, name, shots, seed, shortened(name, drawn))
            longer = accuracy(entry, drawn, name, shots, seed, LONGER[name])
            rows[key] = {"default": default, "longer": longer}
            print(key, rows[key], f"{time.process_time() - began:.1f} s", flush=True)


def shortened(name: str, drawn: Draw) -> dict[str, Any]:
    """The default, with as few passes as 16,000 pictures get where those would be less."""
    if name not in PASSES:
        return {}
    steps = math.ceil(len(drawn.episode.support.labels) / BATCH)
    return {"most_steps": PASSES[name] * steps}


def accuracy(
    entry: Entry, drawn: Draw, name: str, shots: int, seed: int, settings: dict[str, Any]
) -> float:
    words = Experiment(name, shots, seed, "full-val", settings, views=0)
    return float(run(entry, words, drawn).row["accuracy"])


def table(rows: dict[str, dict[str, float]]) -> str:
    """A row a method: both means, and the mean difference with its standard error by data."""
    columns = ("WHU-RS19", *WORLDS)
    lines = []
    for name in LONGER:
        cells = [str(sum(key.startswith(f"{name} ") for key in rows))]
        for column in columns:
            pairs = [
                (row["default"], row["longer"])
                for key, row in rows.items()
                if key.startswith(f"{name} ") and _within(key.split()[1], column)
            ]
            cells += _cells(pairs)
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    heads = (f"{column}: default | longer | difference" for column in columns)
    return "\n".join(
        [
            f"| method | pairs | {' | '.join(heads)} |",
            f"| --- | ---: |{' ---: |' * 3 * len(columns)}",
            *lines,
            "",
        ]
    )


def _within(where: str, column: str) -> bool:
    return where == column or (column == "WHU-RS19" and where in BACKBONES)


def _cells(pairs: list[tuple[float, float]]) -> list[str]:
    if not pairs:
        return ["", "", ""]
    gaps = [a - b for a, b in pairs]
    error = statistics.stdev(gaps) / math.sqrt(len(gaps)) if len(gaps) > 1 else math.nan
    means = (f"{statistics.mean(each):.2f}" for each in zip(*pairs, strict=True))
    return [*means, f"{statistics.mean(gaps):+.2f} ± {error:.2f}"]


if __name__ == "__main__":
    main()
