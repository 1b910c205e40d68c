"""Seconds and memory of every method at ImageNet's size, written to docs/scale.md.

    python benchmarks/imagenet_size.py [--methods a,b] [--limit 600] [--real 60]

Made-up features: 1,000 classes, 16 shots, 512 wide, 20 views, 7 prompts a class, 4 validation
pictures a class. Each method runs in a process of its own, on two threads, and is fitted with its
choice of settings. Where that would take more than `--real` seconds, a method that takes optimiser
steps is stopped after a few; what its fits would take together is estimated from the median step
and the number of steps that it was about to do. Results are kept in
benchmarks/results/imagenet_size.json, so that some methods can be measured without the others.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import statistics
import time
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import scale
import torch
from torch.nn.functional import normalize
from torch.optim.optimizer import register_optimizer_step_post_hook

from adapters import Episode, Labelled, Support, Text, names
from adapters.compose import get
from adapters.configure import configure
from adapters.episode import TEXT_TOWER, Projection
from adapters.maths import training
from adapters.selection import candidates, select

CLASSES, SHOTS, WIDTH, VIEWS, PROMPTS, VAL = 1000, 16, 512, 20, 7, 4
STEPS, WARM_UP = 12, 2
RESULTS = Path(__file__).parent / "results" / "imagenet_size.json"
# Rows whose name is not just a method's, with what is set.
OWN = {
    "proker": ("proker", {"preset": "imagenet"}),
    "fma (closed form)": ("fma", {"solver": "closed-form"}),
}


class EnoughError(Exception):
    """Enough optimiser steps have been seen."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    # Learners of prompts have a section of their own, by benchmarks/prompt_learning.py.
    known = [name for name in names() if TEXT_TOWER not in get(name).needs]
    parser.add_argument("--methods", default=",".join(sorted({*known, *OWN})))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--limit", type=float, default=600, help="seconds a method may take")
    parser.add_argument("--real", type=float, default=60, help="seconds that are not estimated")
    arguments = parser.parse_args()
    rows = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in arguments.methods.split(","):
        rows[name] = measured(name, arguments.limit, arguments.threads, arguments.real)
        print(name, rows[name], flush=True)
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(rows, indent=1, sort_keys=True) + "\n")
    scale.write()


def measured(name: str, limit: float, threads: int, real: float) -> dict[str, Any]:
    """What one method took, in a fresh process so that its peak memory is its own."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=measure, args=(name, threads, real, there))
    began = time.perf_counter()
    process.start()
    there.close()
    try:
        found = here.recv() if here.poll(limit) else {"failed": f"more than {limit:.0f} s"}
    except EOFError:
        found = {"failed": "ended without an answer"}
    process.kill()
    process.join()
    wall = round(time.perf_counter() - began, 1)
    about: dict[str, Any] = {"threads": threads, "wall_s": wall, "cores": os.cpu_count()}
    stamp = datetime.now(UTC).isoformat(timespec="seconds")
    versions = {"torch": torch.__version__, "python": platform.python_version()}
    return {**found, **about, **versions, "load": os.getloadavg()[0], "time": stamp}


def measure(name: str, threads: int, real: float, answer: Connection) -> None:
    """Fit with the choice of settings, or until enough optimiser steps have been timed."""
    torch.set_num_threads(threads)
    known, settings = OWN.get(name, (name, {}))
    method = get(known)
    episode, held = invented(extras=bool(method.needs))
    before = peak()
    config, fixed = configure(known, method, settings)
    ticks: list[tuple[float, float]] = []  # of the clock, and of the processor
    steps: list[int] = []
    descend = training._descend

    def noted(*given: Any) -> Any:
        steps.append(len(given[-1]))
        return descend(*given)

    def tick(*_: object) -> None:
        ticks.append((time.perf_counter(), time.process_time()))
        if len(ticks) == STEPS + 1 and len(trained) * steps[-1] * step(0) > real:
            raise EnoughError

    def step(which: int) -> float:
        pairs = zip(ticks[WARM_UP:], ticks[WARM_UP + 1 :], strict=False)
        return statistics.median(b[which] - a[which] for a, b in pairs)

    training._descend = noted
    register_optimizer_step_post_hook(tick)
    fits = candidates(method, config, held, fixed)
    trained = [each for each in fits if getattr(each, "steps", 1)]
    found: dict[str, Any] = {"fits": len(fits)}
    began, busy = time.perf_counter(), time.process_time()
    try:
        found["tried"] = select(method, episode, config, held, fixed).tried
    except EnoughError:
        found |= {"trained": len(trained), "step_s": step(0), "step_cpu_s": step(1)}
    except Exception as error:
        found["failed"] = f"{type(error).__name__}: {error}"
    found |= {"steps": steps[-1]} if steps else {}
    found |= {"fit_s": time.perf_counter() - began, "cpu_s": time.process_time() - busy}
    found |= {"peak_gb": peak(), "data_gb": before}
    answer.send(found)


def peak() -> float:
    """Most memory this process has held, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def invented(
    classes: int = CLASSES, views: int = VIEWS, seed: int = 0, extras: bool = False
) -> tuple[Episode, Labelled]:
    """Classes around their own directions, by default as many as ImageNet's, raw norms 10.

    With `extras` the embeddings have pre-projection features, half as wide again.
    """
    g = torch.Generator().manual_seed(seed)
    common = torch.randn(WIDTH, generator=g)  # the cone that real embeddings lie in
    centre = common + 0.7 * torch.randn(classes, WIDTH, generator=g)

    def around(points: torch.Tensor, spread: float) -> torch.Tensor:
        return 10 * normalize(points + spread * torch.randn(points.shape, generator=g), dim=-1)

    labels = torch.arange(classes).repeat_interleave(SHOTS)
    seen_views = torch.empty(views + 1, len(labels), WIDTH)
    for view in seen_views:
        view[:] = around(centre[labels], 1.0)
    ids = tuple(map(str, range(len(labels))))
    prompts = around(centre.repeat_interleave(PROMPTS, 0), 0.5).view(classes, PROMPTS, WIDTH)
    mask = torch.ones(classes, PROMPTS, dtype=torch.bool)
    text = Text(prompts, mask, tuple(f"class {c}" for c in range(classes)))
    seen = torch.arange(classes).repeat_interleave(VAL)
    held = Labelled(around(centre[seen], 1.0), seen, tuple(map(str, range(len(seen)))))
    support = Support(seen_views, labels, ids)
    if not extras:
        return Episode(support, text, 100.0, SHOTS, seed), held
    wide = torch.linalg.qr(torch.randn(WIDTH * 3 // 2, WIDTH, generator=g)).Q  # [p, d]
    support, held = replace(support, pre=seen_views @ wide.T), replace(held, pre=held.x @ wide.T)
    projection = Projection(wide, torch.zeros(WIDTH))
    return Episode(support, text, 100.0, SHOTS, seed, projection=projection), held


if __name__ == "__main__":
    main()
