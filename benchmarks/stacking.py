"""Seconds of a grid of runs trained in stacks against one by one, written as JSON.

    python benchmarks/stacking.py [--device cuda] [--runs 1000] [--alone 5] [--out FILE]

Made-up features, 512 wide, 16 shots, of 19 and of 100 classes. The grid is ten seeds by as many
learning rates and decays as make the runs; every run has a draw and chance of its own. One by one
is extrapolated: some runs are timed and their mean taken for all; how many is in the file. The
same runs are compared, stacked against alone. Nothing is chosen or scored on test in these times.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import time
from collections.abc import Hashable, Iterator
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from imagenet_size import invented

from adapters.compose import get
from adapters.devices.device import moved
from adapters.episode import Episode, Labelled
from adapters.evaluate import accuracy
from adapters.registry import names
from adapters.selection import chance
from adapters.sweeping.stacking import Fitted, at_once, fit_all

RESULTS = Path(__file__).parent / "results" / "stacking.json"
SEEDS = 10
Runs = list[tuple[Episode, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--alone", type=int, default=5, help="runs timed one by one")
    own = ",".join(name for name in names() if get(name).prepare and not get(name).needs)
    parser.add_argument("--methods", default=own)
    parser.add_argument("--classes", default="19,100")
    parser.add_argument("--views", type=int, default=0, help="beside the centre crop")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device)
    rows = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    for classes in map(int, arguments.classes.split(",")):
        drawn = [invented(classes, arguments.views, seed) for seed in range(SEEDS)]
        draws = [moved(each, device) for pair in drawn for each in pair]
        episodes, held = draws[::2], draws[1]
        for method in arguments.methods.split(","):
            found = measured(method, episodes, held, arguments.runs, arguments.alone, device)
            shape = {"classes": classes, "views": arguments.views, "threads": arguments.threads}
            key = f"{method} {classes} classes, {arguments.runs} runs, {found['device']}"
            rows[key] = {"method": method, **shape, **found, **about()}
            print(key, rows[key], flush=True)
            arguments.out.parent.mkdir(exist_ok=True)
            arguments.out.write_text(json.dumps(rows, indent=1, sort_keys=True) + "\n")


def measured(
    name: str, episodes: list[Episode], held: Labelled, count: int, few: int, device: torch.device
) -> dict[str, Any]:
    """Seconds of all runs in stacks, and of one alone, with how far their results are apart."""
    runs = list(itertools.islice(grid(name, episodes), count))
    method, few = get(name), min(few, count)
    stacked(name, runs[:2], device)  # what is made only once is made before the clock starts
    method.fit(*runs[0], chance(runs[0][0]))
    began = now(device)
    fitted = stacked(name, runs, device)
    seconds = now(device) - began
    began = now(device)
    states = [method.fit(episode, config, chance(episode)) for episode, config in runs[:few]]
    alone = (now(device) - began) / few
    gaps, points = [], []
    for place, state in enumerate(states):
        both = [method.logits(s, runs[place][1], held.x) for s in (fitted[place].state, state)]
        gaps.append((both[0] - both[1]).abs().max().item())
        points.append(abs(accuracy(both[0], held.labels) - accuracy(both[1], held.labels)))
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "runs": count,
        "largest_stack": max(each.stacked for each in fitted.values()),
        "stacked_s": seconds,
        "alone_timed": few,
        "alone_s_a_run": alone,
        "alone_s_extrapolated": alone * count,
        "times_faster": alone * count / seconds,
        "largest_difference_of_scores": max(gaps),
        "largest_difference_of_accuracy": max(points),
    }


def grid(name: str, episodes: list[Episode]) -> Iterator[tuple[Episode, Any]]:
    """Every seed at one learning rate and decay, if it has any, after the other, without end."""
    config = get(name).config
    decays = any(field.name == "weight_decay" for field in fields(config))
    for step in itertools.count():
        rate, more = 1e-4 * 1.2 ** (step % 20), 1 + step // 20
        own = {"weight_decay": 0.01 * more} if decays else {}
        for episode in episodes:
            yield episode, config(learning_rate=rate if decays else rate * more, **own)


def stacked(name: str, runs: Runs, device: torch.device) -> dict[int, Fitted]:
    """All runs in stacks, prepared in portions as a worker prepares them."""
    prepare = get(name).prepare
    assert prepare is not None
    known: dict[Hashable, bool] = {}
    found: dict[int, Fitted] = {}
    for first in range(0, len(runs), at_once(device)):
        part = enumerate(runs[first : first + at_once(device)], first)
        found |= fit_all({i: prepare(e, c, chance(e)) for i, (e, c) in part}, "on", known).fitted
    return found


def now(device: torch.device) -> float:
    """The time once the device has nothing left to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def about() -> dict[str, Any]:
    """Where and when this was measured."""
    stamp = datetime.now(UTC).isoformat(timespec="seconds")
    versions = {"torch": torch.__version__, "python": platform.python_version()}
    return {**versions, "cores": os.cpu_count(), "load": os.getloadavg()[0], "time": stamp}


if __name__ == "__main__":
    main()
