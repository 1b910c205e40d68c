"""The whole path on real pictures: encode once, fit in seconds.

Encodes the 1,797 handwritten digits that scikit-learn ships with the embedded demo backbone, then
fits four methods at 1 to 16 shots over three seeds. Run it again and nothing is encoded anew.

    python examples/demo.py [--out DIR] [--cache DIR]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from adapters import Experiment, Results, draw, run
from adapters.report.over_shots import over_shots, shots_table
from featcache import FeatureCache, ViewRecipe, encode_dataset, load_backbone, load_dataset

METHODS = ("zero-shot", "tip-adapter", "node-adapter", "fma")
# Ten easy classes need fewer than fma's 250 steps, and nobody wants to wait for a demo.
SETTINGS = {"fma": {"steps": 200}}
SHOTS = (1, 2, 4, 8, 16)
SEEDS = (1, 2, 3)


def experiment(method: str, shots: int, seed: int) -> Experiment:
    return Experiment(method, shots, seed, settings=SETTINGS.get(method, {}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("demo-results"))
    parser.add_argument("--cache", type=Path, default=None)
    arguments = parser.parse_args()
    console = Console(highlight=False)
    began = time.perf_counter()

    dataset = load_dataset("digits")
    backbone = load_backbone("demo")
    # Digits are told apart by their whole outline: mild crops, and no mirror images.
    views = ViewRecipe(count=10, seed=1, scale=(0.7, 1.0), flip=dataset.flip)
    with Progress(console=console) as bar:
        task = bar.add_task("encoding", total=None)
        report = encode_dataset(
            dataset,
            backbone,
            FeatureCache(arguments.cache),
            views=views,
            progress=lambda done, total: bar.update(task, completed=done, total=max(total, 1)),
        )
    if report.crops:
        rate = report.crops / report.wall
        console.print(
            f"Encoded {report.encoded} pictures ({report.crops} crops, {rate:.0f} a second)."
        )
    else:
        console.print(f"Nothing to encode: all {report.skipped} pictures are cached.")

    results = Results(arguments.out / "results.sqlite")
    with Progress(console=console) as bar:
        task = bar.add_task("fitting", total=len(METHODS) * len(SHOTS) * len(SEEDS))
        names = []
        for shots in SHOTS:
            for seed in SEEDS:
                drawn = draw(report.entry, shots, seed)
                for method in METHODS:
                    outcome = run(report.entry, experiment(method, shots, seed), drawn)
                    names.append(results.add(outcome.row))
                    bar.advance(task)

    frame = results.frame().set_index("run").loc[names]
    frame = frame.sort_values("method", key=lambda m: m.map(METHODS.index), kind="stable")
    heads, rows = shots_table(frame)
    tested = frame["n_test"].iloc[0]
    table = Table(box=None, padding=(0, 1, 0, 0), title=f"% of {tested} test digits")
    for head in heads:
        table.add_column(head, no_wrap=head != heads[-1])  # the last head is long
    for row in rows:
        table.add_row(*row)
    console.print(table)
    picture = over_shots(
        frame,
        arguments.out / "accuracy-over-shots.png",
        "scikit-learn's digits, embedded demo backbone (not CLIP)",
    )
    console.print(f"Picture: {picture}\nRows:    {results.path}", soft_wrap=True)
    console.print(f"Done in {time.perf_counter() - began:.0f} s.")


if __name__ == "__main__":
    main()
