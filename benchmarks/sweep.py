"""What a sweep costs beside its fits, by engine, and what a second worker brings.

    python benchmarks/sweep.py [--runs 2000] [--grid 300] [--out benchmarks/results/sweep.json]

Overhead: zero-shot, four runs a draw; wall seconds of the sweep times the workers, less the seconds
that the rows say fit and prediction took, by run; start-up is the time of a sweep of as many runs
as there are workers. Throughput: a grid of trained methods with one process and with two. Both on
an entry of CLIP's width made here of random clusters. Ray and Slurm run on this machine: a Ray of
its own, and submitit's local executor. The table goes into docs/sweeps.md as well.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from adapters.report.tables import markdown
from adapters.results import Results
from adapters.sweeping.engine import Engine, engine
from adapters.sweeping.engines.local import Local
from adapters.sweeping.grid import grid
from adapters.sweeping.runs import Run
from adapters.sweeping.sweep import sweep
from featcache import FeatureCache, import_features

MARKS = "<!-- measured by benchmarks/sweep.py -->", "<!-- end -->"
CLASSES, WIDTH = 19, 512
POLICIES = ["none", "few-shot-val", "full-val", "oracle-test"]  # so many runs share a draw
TRAINED = ["fma", "clip-adapter", "taskres", "tip-adapter-f", "clap"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--grid", type=int, default=300)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/sweep.json"))
    parser.add_argument("--page", type=Path, default=Path("docs/sweeps.md"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cache = made(folder)
        found: dict[str, Any] = {"overhead": {}, "throughput": {}}
        runs = grid(cache, method="zero-shot", shots=[1, 2, 4, 8, 16], policy=POLICIES,
                    seed=list(range(arguments.runs // 5 // len(POLICIES))))  # fmt: skip
        for label, engine_ in engines(folder).items():
            found["overhead"][label] = overhead(runs, engine_, folder / f"{label}.sqlite")
            say(label, found["overhead"][label])
        seeds = list(range(arguments.grid // len(TRAINED) // 3))
        grown = grid(cache, method=TRAINED, shots=[1, 4, 16], seed=seeds, policy="none",
                     settings={"steps": 50, "epochs": 20})  # fmt: skip
        for jobs in (1, 2):
            found["throughput"][f"{jobs} workers"] = throughput(grown, jobs, folder)
            say(f"{len(grown)} runs, {jobs} workers", found["throughput"][f"{jobs} workers"])
    one, two = (found["throughput"][f"{jobs} workers"]["seconds"] for jobs in (1, 2))
    found["throughput"]["speed-up"] = round(one / two, 2)
    found["machine"] = machine()
    print(f"two workers are {one / two:.2f} times as fast as one")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if arguments.page.is_file():
        before, mark, rest = arguments.page.read_text(encoding="utf-8").partition(MARKS[0])
        after = rest.partition(MARKS[1])[2]
        text = f"{before}{mark}\n\n{page(found)}\n\n{MARKS[1]}{after}"
        arguments.page.write_text(text, encoding="utf-8")


def page(found: dict[str, Any]) -> str:
    """The numbers as they stand in the document."""
    rows = [
        [label, f"{n['start_s']:.1f} s", f"{n['overhead_ms_a_run']:.1f} ms"]
        for label, n in found["overhead"].items()
    ]
    grown, on = found["throughput"], found["machine"]
    each = ", ".join(f"{grown[f'{n} workers']['runs_a_second']} runs/s" for n in (1, 2))
    share = f"{grown['2 workers']['fitting_share']:.1%}"
    return f"""{markdown(["engine", "start", "beside the fit, a run"], rows)}

A grid of trained methods, one worker and two: {each}, {grown["speed-up"]} times as fast, the two
workers being in a fit {share} of the time. Measured on {on["cores"]} cores ({on["processor"]}),
load {on["load"]} at the end; where that is above the cores, other work had its share of them,
and the speed-up says more of that work than of the engine."""


def engines(folder: Path) -> dict[str, Engine]:
    return {
        "local, 1 job": Local(1),
        "local, 2 jobs": Local(2),
        "ray, 2 actors": engine("ray", jobs=2, device="cpu"),
        "slurm, 2 local tasks": engine(
            "slurm", jobs=2, device="cpu", folder=folder / "slurm", slurm={"cluster": "local"}
        ),
    }


def overhead(runs: list[Run], engine_: Engine, path: Path) -> dict[str, float]:
    """Milliseconds a run beside the fit, and seconds until the workers stand."""
    first, rest = runs[: engine_.workers], runs[engine_.workers :]
    began = time.perf_counter()
    sweep(first, engine_, Results(path))
    start = time.perf_counter() - began
    began = time.perf_counter()
    summary = sweep(rest, engine_, Results(path))
    wall = time.perf_counter() - began
    if path.stem.startswith("slurm"):  # its tasks start anew with every sweep
        wall -= start
    engine_.close()
    assert summary.done == len(rest)
    frame = Results(path).frame().tail(len(rest))
    fits = float(frame["fit_seconds"].sum() + frame["predict_seconds"].sum())
    each = 1000 * (wall * engine_.workers - fits) / len(rest)
    return {"start_s": round(start, 2), "wall_s": round(wall, 2), "runs": len(rest),
            "overhead_ms_a_run": round(each, 2)}  # fmt: skip


def throughput(runs: list[Run], jobs: int, folder: Path) -> dict[str, float]:
    """Seconds of the grid with so many processes of one thread, once they stand."""
    local = Local(jobs)
    torch.set_num_threads(1)
    sweep(grid_of_one(runs, jobs), local)
    began = time.perf_counter()
    results = Results(folder / f"{jobs}.sqlite")
    summary = sweep(runs, local, results)
    seconds = time.perf_counter() - began
    local.close()
    assert summary.done == len(runs)
    fits = float(results.frame()[["fit_seconds", "predict_seconds"]].to_numpy().sum())
    return {"seconds": round(seconds, 1), "runs_a_second": round(len(runs) / seconds, 2),
            "fitting_share": round(fits / seconds / jobs, 3)}  # fmt: skip


def grid_of_one(runs: list[Run], jobs: int) -> list[Run]:
    """A cheap run for each process, so that both stand before the clock starts."""
    return [run for run in runs if run.experiment.method == "taskres"][:jobs]


def made(folder: Path) -> FeatureCache:
    """A cache with one data set of clusters, as wide as CLIP's ViT-B and with WHU-RS19's rows."""
    rng = np.random.default_rng(0)
    centre = rng.normal(size=(CLASSES, WIDTH))
    labels = np.arange(1005) % CLASSES
    x = centre[labels] + 2 * rng.normal(size=(1005, WIDTH))
    text = centre + rng.normal(size=(CLASSES, WIDTH))
    path = folder / "clusters.npz"
    np.savez(
        path,
        image_features=x.astype(np.float16),
        labels=labels,
        text_features=text[:, None].astype(np.float16),
        classnames=np.array([f"class {c}" for c in range(CLASSES)]),
        prompts=np.array(["a photo of a {}."]),
    )
    cache = FeatureCache(folder / "cache")
    import_features([path], "clusters", "ViT-B/32", cache)
    return cache


def machine() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "processor": platform.machine(),
        "load": round(os.getloadavg()[0], 1),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def say(label: str, numbers: dict[str, float]) -> None:
    print(f"{label}: " + ", ".join(f"{key} {value}" for key, value in numbers.items()), flush=True)


if __name__ == "__main__":
    main()
