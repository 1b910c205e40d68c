"""Where a GPU pays: every method's fit on processor and GPU, and a grid one by one and stacked.

    python benchmarks/devices.py [--minutes 4] [--out benchmarks/results/devices.json]
    python benchmarks/devices.py --write       only docs/sweeps.md and data/crossover.json, from it

Made-up features, 512 wide, 16 shots, of 19, 100 and 1,000 classes, one view beside the centre crop,
4 validation pictures a class. Timed is one fit with the choice of the settings that need no other
one. A method that takes optimiser steps is stopped after some; its seconds are the mean step, times
its steps. All clocks are read when the device has nothing left to do. What is measured is written
after each method, and nothing new is begun after `--minutes`. Without a GPU there are only the
processor's columns, and the documents stay as they are.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import torch
from imagenet_size import invented
from stacking import SEEDS
from stacking import measured as grid_measured
from torch.optim.optimizer import register_optimizer_step_post_hook

from adapters.compose import get
from adapters.configure import configure
from adapters.devices.device import CPU, device_of, moved, name_of, steady, wait
from adapters.episode import TEXT_TOWER, Episode, Labelled
from adapters.maths import training
from adapters.registry import names
from adapters.report.tables import markdown
from adapters.selection import select

RESULTS = Path(__file__).parent / "results" / "devices.json"
ROOT = Path(__file__).parents[1]
MARKS = "<!-- measured by benchmarks/devices.py -->", "<!-- end -->"
SIZES, SHOTS = (19, 100, 1000), 16
STEPS, WARM, LEAST, LONG = 40, 3, 6, 3.0  # steps timed, before them, at least, and seconds at most
# Loops that are no optimiser's: so many of their default steps are done.
SHORTER: dict[str, dict[str, Any]] = {"lp++": {"steps": 30}}
GRID, FEWER = "fma", 256  # the method of a grid of 1,000 runs, and the runs of the others
START = 2.0  # seconds that a GPU takes to start, where they were not measured
SWEPT = ("fma", "clip-adapter", "zs-lp", "tip-adapter-f")


class EnoughError(Exception):
    """Enough optimiser steps have been timed."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    # What needs the text tower is timed by benchmarks/prompt_learning.py.
    own = [name for name in names() if TEXT_TOWER not in get(name).needs]
    parser.add_argument("--methods", default=",".join(own))
    parser.add_argument("--classes", default=",".join(map(str, SIZES)))
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--threads", type=int, default=0, help="of the processor (all its cores)")
    parser.add_argument("--parts", default="start,fits,grid,workers")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--write", action="store_true", help="documents from --out, nothing else")
    arguments = parser.parse_args()
    if not arguments.write:
        measure(arguments)
    found = json.loads(arguments.out.read_text(encoding="utf-8"))
    if "gpu" in found["machine"]:
        write(found)


def measure(arguments: argparse.Namespace) -> None:
    end = time.monotonic() + 60 * arguments.minutes
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    devices = {"cpu": CPU}
    if torch.cuda.is_available():
        devices["gpu"] = device_of("cuda")
    found: dict[str, Any] = {part: {} for part in ("start", "fits", "grid", "workers")}
    found["machine"] = machine(devices)

    def keep(part: str, key: str, value: dict[str, Any]) -> None:
        found[part][key] = value
        print(f"{end - time.monotonic():5.0f} s left", part, key, value, flush=True)
        arguments.out.parent.mkdir(exist_ok=True)
        arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")

    methods, parts = arguments.methods.split(","), arguments.parts.split(",")
    for classes in map(int, arguments.classes.split(",")) if "fits" in parts else ():
        drawn = {extra: invented(classes, views=1, extras=extra) for extra in (False, True)}
        there = {name: moved((drawn[False], drawn[True]), place) for name, place in devices.items()}
        for method in methods:
            row: dict[str, Any] = {"method": method, "classes": classes}
            for name, place in devices.items():
                if time.monotonic() < end:
                    episode, held = there[name][bool(get(method).needs)]
                    row |= {f"{name}_{k}": v for k, v in fit(method, episode, held, place).items()}
            keep("fits", f"{method} {classes}", row)
    if "gpu" not in devices:
        return
    stacked = [GRID, *(each for each in methods if get(each).prepare and each != GRID)]
    work: list[tuple[str, str, Any]] = [("start", "s", started)]
    for method in stacked:
        runs = 1000 if method == GRID else FEWER
        work.append(("grid", method, partial(gridded, method, runs, devices["gpu"])))
    work += [("workers", str(jobs), partial(swept, jobs)) for jobs in (1, 2, 4)]
    for part, key, do in work:
        if part in parts and time.monotonic() < end:
            try:
                keep(part, key, do())
            except Exception as error:  # the other parts are worth having
                print(part, key, f"failed: {type(error).__name__}: {error}", flush=True)


def fit(name: str, episode: Episode, held: Labelled, place: torch.device) -> dict[str, Any]:
    """Seconds of one fit with its choice, by its steps where it has an optimiser."""
    method = get(name)
    config, _ = configure(name, method, SHORTER.get(name, {}))
    fixed = frozenset(method.space(config).fit)
    with steady(place):
        select(method, *small(place, bool(method.needs)), config_of(name), None)  # starts libraries
        found = timed(lambda: select(method, episode, config, held, fixed), place)
    if name in SHORTER and "s" in found:
        default = get(name).config().steps
        found = {"s": found["s"] * default / SHORTER[name]["steps"], "estimated": True}
    return found


def small(place: torch.device, extras: bool) -> tuple[Episode]:
    episode, _ = invented(3, views=1, extras=extras)
    return (moved(episode, place),)


def config_of(name: str) -> Any:
    """The shortest training that is one."""
    method = get(name)
    default = method.config()
    brief = {key: 1 for key in ("steps", "iterations", "epochs") if hasattr(default, key)}
    return configure(name, method, {} if name == "linear-probe" else brief)[0]


def timed(work: Any, place: torch.device) -> dict[str, Any]:
    """The seconds of the work, or of its training if it takes steps."""
    ticks: list[float] = []
    steps: list[int] = []
    descend = training._descend

    def noted(*given: Any) -> Any:
        steps.append(len(given[-1]))
        return descend(*given)

    def tick(*_: object) -> None:
        ticks.append(time.perf_counter())
        if len(ticks) == WARM:
            wait(place)
            ticks[-1] = time.perf_counter()
        long = len(ticks) > WARM + LEAST and ticks[-1] - ticks[0] > LONG
        if len(ticks) == WARM + STEPS or long:
            wait(place)
            ticks[-1] = time.perf_counter()
            raise EnoughError

    training._descend = noted
    hook = register_optimizer_step_post_hook(tick)
    try:
        wait(place)
        began = time.perf_counter()
        work()
        wait(place)
        return {"s": time.perf_counter() - began}
    except EnoughError:
        step = (ticks[-1] - ticks[WARM - 1]) / (len(ticks) - WARM)
        return {"s": step * steps[0], "step_ms": 1000 * step, "steps": steps[0], "estimated": True}
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {str(error).splitlines()[0]}"}
    finally:
        training._descend = descend
        hook.remove()


def started() -> dict[str, Any]:
    """Seconds from a process with torch imported to the first product and solution on the GPU."""
    code = (
        "import time, torch; began = time.perf_counter(); x = torch.eye(64, device='cuda');"
        "torch.linalg.eigh(x @ x); torch.cuda.synchronize(); print(time.perf_counter() - began)"
    )
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return {"s": float(run.stdout)}


def gridded(method: str, runs: int, place: torch.device) -> dict[str, Any]:
    """A grid of seeds, rates and decays on the GPU, one by one (some timed) and stacked."""
    with steady(place):
        drawn = moved(tuple(invented(19, 0, seed) for seed in range(SEEDS)), place)
        found = grid_measured(method, [e for e, _ in drawn], drawn[0][1], runs, 2, place)
    found["peak_gb"] = torch.cuda.max_memory_allocated(place) / 1e9
    return found


def swept(jobs: int) -> dict[str, Any]:
    """A sweep of trained methods by so many processes on the GPU, started before the clock."""
    from sweep import made

    from adapters.results import Results
    from adapters.sweeping.engines.local import Local
    from adapters.sweeping.grid import grid
    from adapters.sweeping.sweep import sweep

    with tempfile.TemporaryDirectory() as name:
        cache = made(Path(name))
        words = {"method": list(SWEPT), "policy": "none", "settings": {"epochs": 20}}
        first = grid(cache, **words, shots=1, seed=list(range(100, 100 + jobs)))
        runs = grid(cache, **words, shots=[4, 16], seed=list(range(16)))
        engine = Local(jobs, "cuda")
        try:
            sweep(first, engine, Results(Path(name) / "first.sqlite"), stack="off")
            done = sweep(runs, engine, Results(Path(name) / "rows.sqlite"), stack="off")
        finally:
            engine.close()
    return {"runs": done.done, "failed": done.failed, "s": done.seconds}


def machine(devices: dict[str, torch.device]) -> dict[str, Any]:
    """Where and when this was measured."""
    found = {
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return found | ({"gpu": name_of(devices["gpu"])} if "gpu" in devices else {})


def crossover(found: dict[str, Any]) -> dict[str, Any]:
    """What `--device auto` goes by."""
    fits: dict[str, list[list[float]]] = {}
    for row in found["fits"].values():
        if "cpu_s" in row and "gpu_s" in row:
            size = [SHOTS * row["classes"], round(row["cpu_s"], 5), round(row["gpu_s"], 5)]
            fits.setdefault(row["method"], []).append(size)
    return {
        "measured on": found["machine"],
        "start_s": found.get("start", {}).get("s", {}).get("s", START),
        "fits": fits,
        "stacked": {name: round(row["times_faster"], 1) for name, row in found["grid"].items()},
    }


def write(found: dict[str, Any]) -> None:
    """The rule that `--device auto` goes by, and the section of docs/sweeps.md."""
    rule = json.dumps(crossover(found), indent=1)
    rule = re.sub(r"\n {2,}(?=\[|\]|\d)", " ", rule)  # a method a line
    (ROOT / "data" / "crossover.json").write_text(rule + "\n", encoding="utf-8")
    page = ROOT / "docs" / "sweeps.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    page.write_text(f"{before}{MARKS[0]}\n\n{section(found)}\n\n{MARKS[1]}{after}", "utf-8")


def section(found: dict[str, Any]) -> str:
    """What was measured, in tables and sentences."""
    fits, about = found["fits"], found["machine"]
    sizes = sorted({row["classes"] for row in fits.values()})
    both = [f"{size:,} × {SHOTS}: {on}" for size in sizes for on in ("CPU", "GPU")]
    rows = []
    for name in dict.fromkeys(row["method"] for row in fits.values()):
        cells = [
            seconds(fits.get(f"{name} {size}", {}), on) for size in sizes for on in ("cpu", "gpu")
        ]
        rows.append([name, *cells])
    lines = [
        f"Seconds of a fit with its choice of settings (≈: by some of its steps), {about['gpu']} "
        f"against {about['threads']} threads on {about['cores']} cores ({about['processor']}), "
        f"torch {about['torch']}, by classes × shots.",
        "",
        markdown(["method", *both], rows),
    ]
    if grid := found["grid"]:
        lines += ["", "Grids of seeds, learning rates and decays on 19 classes on the GPU, one by "
            "one (some runs timed, their mean taken for all) and stacked:", ""]  # fmt: skip
        told = [
            [name, f"{row['runs']:,}", f"{row['alone_s_extrapolated']:,.0f}",
             f"{row['stacked_s']:,.1f}", str(row["largest_stack"]), f"{row['times_faster']:.0f}"]
            for name, row in grid.items()
        ]  # fmt: skip
        heads = ["method", "runs", "one by one, s", "stacked, s", "in a stack", "times as fast"]
        lines.append(markdown(heads, told))
    if workers := found["workers"]:
        each = ", ".join(f"{row['s']:.1f} s with {jobs}" for jobs, row in workers.items())
        runs = next(iter(workers.values()))["runs"]
        lines += ["", f"{runs} runs of {len(SWEPT)} methods, not stacked, by processes that share "
            f"the GPU: {each}."]  # fmt: skip
    return "\n".join(lines)


def seconds(row: dict[str, Any], on: str) -> str:
    if f"{on}_failed" in row:
        return "failed"
    if f"{on}_s" not in row:
        return ""
    value = row[f"{on}_s"]
    digits = 3 if value < 1 else 2 if value < 10 else 0
    return f"{'≈ ' if row.get(f'{on}_estimated') else ''}{value:,.{digits}f}"


if __name__ == "__main__":
    main()
