"""Seconds that made-up problems of two classes take, by method: `--problems 10000 --width 512`.

The data is noise around centres; only the time is of interest. A method may be given fewer problems
than were asked for (`--most node-adapter=200`), and then the row says how many were done.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path

import torch

from adapters.compose import get
from adapters.problems.reading import Listed, Problems
from adapters.problems.solving import Solver, solve

METHODS = ("ncm", "gda", "tip-adapter", "linear-probe", "node-adapter")
OUT = Path(__file__).parent / "results" / "problems.json"


def made(problems: int, width: int) -> Listed:
    """Problems of noise around a centre a side."""
    g = torch.Generator().manual_seed(0)
    centre = torch.randn(problems, 2, 1, width, generator=g)
    x = centre + 1.5 * torch.randn(problems, 2, 7, width, generator=g)
    labels = torch.arange(2).expand(problems, 2)
    concept = torch.zeros(problems, dtype=torch.long)
    return Listed("made", Problems(x[:, :, :-1], x[:, :, -1], concept), labels)


def seconds(name: str, listed: Listed) -> dict[str, float]:
    """Wall and processor seconds of all problems, by the method's defaults."""
    method = get(name)
    wall, processor = time.perf_counter(), time.process_time()
    solve(Solver(name, method, 100.0, 1), method.config(), listed)
    return {
        "problems": len(listed.problems),
        "wall_seconds": round(time.perf_counter() - wall, 2),
        "processor_seconds": round(time.process_time() - processor, 2),
    }


def main() -> None:
    """Time each method and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=10_000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--method", default=",".join(METHODS))
    parser.add_argument("--most", action="append", default=[], metavar="METHOD=PROBLEMS")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    most = {name: int(count) for name, _, count in (each.partition("=") for each in asked.most)}
    found = {}
    for name in asked.method.split(","):
        found[name] = seconds(name, made(most.get(name, asked.problems), asked.width))
        print(name, found[name], flush=True)
    machine = {"processor": platform.processor() or platform.machine(), "threads": asked.threads}
    document = {"width": asked.width, **machine, "torch": torch.__version__, "methods": found}
    asked.out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
