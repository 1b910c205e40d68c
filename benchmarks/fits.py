"""Seconds of fits, commands, forwards, draws and answers, on made-up features; docs/scale.md.

    python benchmarks/fits.py [--parts fits,commands,…] [--methods a,b] [--limit 60]

Fits, commands and forwards run four times, each in a process of its own: as they are and with one
thread, and both again beside a process that never rests, which this one starts. What is measured
comes through the door or its libraries, so that the rule for threads (`featcache/threads.py`) is
what decides. Writes benchmarks/results/fits.json, part by part, and the page.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import scale

RESULTS = scale.RESULTS / "fits.json"
ROOT = Path(__file__).parents[1]
CLASSES, SHOTS, WIDTH = 19, 16, 512
ONE = {"OMP_NUM_THREADS": "1"}
SHORT = 0.5  # seconds; what takes less is repeated
Found = dict[str, dict[str, Any]]


class TooLongError(Exception):
    """A measurement has had its time."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--parts", default=",".join(PARTS), help="of the page")
    parser.add_argument("--methods", default="", help="some of them; their rows are replaced")
    parser.add_argument("--limit", type=float, default=60, help="seconds a fit may take")
    parser.add_argument("--child", default="", help="measure this here, and print it")
    asked = parser.parse_args()
    if asked.child:
        print(json.dumps(CHILDREN[asked.child](asked)))
        return
    for name in asked.parts.split(","):
        load = os.getloadavg()[0]
        rows = PARTS[name](asked)
        kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        if asked.methods and name in kept:
            rows = kept[name]["rows"] | rows
        kept[name] = {"rows": rows, **machine(), "load": load}
        RESULTS.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
        scale.write()
        print(name, json.dumps(rows), flush=True)


def machine() -> dict[str, Any]:
    """Where and with what it was measured."""
    return {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "torch": version("torch"),
        "python": platform.python_version(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


# Conditions


@contextmanager
def neighbour() -> Iterator[None]:
    """A process beside, that never rests."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def in_conditions(measure: Callable[[Mapping[str, str]], Found]) -> Found:
    """What it measures under an environment, by row and condition."""
    rows: Found = {}

    def take(condition: str, more: Mapping[str, str]) -> None:
        for name, found in measure(more).items():
            rows.setdefault(name, {})[condition] = found

    take("quiet", {})
    take("quiet, one thread", ONE)
    with neighbour():
        take("busy", {})
        take("busy, one thread", ONE)
    return rows


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """This one's, less what is said there of threads, and with more."""
    said = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    kept = {name: value for name, value in os.environ.items() if name not in said}
    return kept | {"PYTHONPATH": str(ROOT)} | more


def child(name: str, asked: argparse.Namespace, more: Mapping[str, str]) -> Found:
    """What a fresh process measures."""
    line = [sys.executable, __file__, "--child", name, "--methods", asked.methods]
    line += ["--limit", str(asked.limit)]
    ran = subprocess.run(line, env=environment(more), check=True, capture_output=True, text=True)
    found: Found = json.loads(ran.stdout.splitlines()[-1])
    return found


def timed(work: Callable[[], Any], limit: float = 60) -> dict[str, Any]:
    """Seconds of the clock and of the processor: the median, where it is short and repeated."""

    def too_long(*_: object) -> None:
        raise TooLongError

    signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, limit)
    walls, cpus = list[float](), list[float]()
    try:
        while not walls or (sum(walls) < SHORT and len(walls) < 5):
            began, busy = time.perf_counter(), time.process_time()
            work()
            walls.append(time.perf_counter() - began)
            cpus.append(time.process_time() - busy)
    except TooLongError:
        return {"failed": f"more than {limit:.0f}"}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return {"wall": statistics.median(walls), "cpu": statistics.median(cpus)}


# Fits of every method


def fits(asked: argparse.Namespace) -> Found:
    """Every method, in the four conditions."""
    return in_conditions(lambda more: child("fits", asked, more))


def fits_here(asked: argparse.Namespace) -> Found:
    """Every method with its choice of settings, one after the other."""
    from featcache.threads import wait_passively

    wait_passively()  # as the door does
    from imagenet_size import invented

    from adapters import names
    from adapters.compose import get
    from adapters.configure import configure
    from adapters.selection import select

    rows: Found = {}
    plain, wide = invented(CLASSES), invented(CLASSES, extras=True)
    for name in asked.methods.split(",") if asked.methods else sorted(names()):
        method = get(name)
        episode, held = wide if method.needs else plain
        config, fixed = configure(name, method, {})
        fit = (method, episode, config, held, fixed)
        rows[name] = timed(lambda fit=fit: select(*fit), asked.limit)  # type: ignore[misc]
    return rows


# Commands


def commands(asked: argparse.Namespace) -> Found:
    """Encode, fit, evaluate, predict and report, in the four conditions."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        some = jpegs(folder)
        return in_conditions(lambda more: chain(folder, some, more))


def jpegs(folder: Path, train: int = 80, test: int = 25) -> list[str]:
    """Class folders of 1,995 JPEGs under `data`; some of the files."""
    from encoding import pictures

    dataset = pictures(folder / "few", 64)
    few = [item.source.read_bytes() for item in dataset.splits["train"]]  # type: ignore[union-attr]
    made = 0
    for split, count in (("train", train), ("test", test)):
        for label in range(CLASSES):
            there = folder / "data" / split / f"class {label:02}"
            there.mkdir(parents=True)
            for i in range(count):
                # What follows a picture's end is not decoded, and makes it another file.
                (there / f"{i}.jpg").write_bytes(few[made % 64] + str(made).encode())
                made += 1
    return [str(each) for each in sorted((folder / "data" / "test").rglob("*.jpg"))[:64]]


def chain(folder: Path, some: list[str], more: Mapping[str, str]) -> Found:
    """The commands one after the other, from an empty cache."""
    cache, runs = folder / "cache", folder / "runs"
    for old in (cache, runs):
        shutil.rmtree(old, ignore_errors=True)
    env = environment(more) | {"FEATCACHE_HOME": str(cache)}
    pictures, cached = ["--dataset", str(folder / "data")], ["--dataset", "data"]
    first = {
        "featcache encode": [*pictures, "--backbone", "demo", "--views", "0"],
        "adapters fit": [*cached, "--method", "fma", "--out", str(runs)],
    }
    rows = {name: run(name, words, env, folder) for name, words in first.items()}
    [saved] = [str(card.parent) for card in runs.glob("*/adapter.json")]
    then = {
        "adapters evaluate": [saved],
        "adapters predict": [saved, *some],
        "adapters report": ["--results", str(runs / "results.sqlite")],
    }
    return rows | {name: run(name, words, env, folder) for name, words in then.items()}


def run(name: str, words: list[str], env: Mapping[str, str], where: Path) -> dict[str, Any]:
    """Seconds of one command."""
    command = name.split()
    code = f"import cli; cli.{command[0]}()"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    line = [sys.executable, "-c", code, *command[1:], *words]
    ran = subprocess.run(line, env=dict(env), cwd=where, capture_output=True, text=True)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if ran.returncode:
        return {"failed": (ran.stderr.strip() or "failed").splitlines()[-1]}
    return {"wall": wall, "cpu": sum(after[:2]) - sum(before[:2])}


# Forwards


def forwards(asked: argparse.Namespace) -> Found:
    """Two picture towers, in the four conditions."""
    return in_conditions(lambda more: child("forwards", asked, more))


def forwards_here(asked: argparse.Namespace) -> Found:
    """Pictures that lie in memory through the towers."""
    from featcache.threads import wait_passively

    wait_passively()
    import numpy as np
    import open_clip
    from encoding import encode_pictures

    from featcache import load_backbone

    demo = load_backbone("demo", device="cpu")
    model = open_clip.create_model("ViT-B-32", pretrained=None).eval()
    large = replace(demo, model=model, preprocess=replace(demo.preprocess, size=224))
    rows: Found = {}
    for name, backbone, count in (("demo", demo, 2048), ("ViT-B/32", large, 32)):
        side = backbone.preprocess.size
        batch = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
        pass_on = (backbone, batch)
        encode_pictures(backbone, batch[:8])
        rows[name] = timed(lambda pass_on=pass_on: encode_pictures(*pass_on))  # type: ignore[misc]
    return rows


# Answers


def answers(asked: argparse.Namespace) -> Found:
    """Answers of every method beside those of a linear classifier, with one thread."""
    return child("answers", asked, ONE)


def answers_here(asked: argparse.Namespace) -> Found:
    """20,000 pictures among 1,000 classes."""
    import torch
    from imagenet_size import OWN, invented
    from torch.nn.functional import normalize

    from adapters import Adapter, names
    from adapters.compose import get
    from adapters.configure import configure
    from adapters.episode import Query
    from adapters.selection import chance

    episode, _ = invented(views=0, extras=True)
    g = torch.Generator().manual_seed(1)
    pre = 10 * torch.randn(20_000, WIDTH * 3 // 2, generator=g)
    assert episode.projection is not None
    x = episode.projection(pre)
    text = episode.text.unit()
    rows = {"normalise + matmul": timed(lambda: normalize(x, dim=-1) @ text.T)}
    for name in asked.methods.split(",") if asked.methods else sorted(names()):
        method = get(name)
        _, settings = OWN.get(name, (name, {}))
        config, _ = configure(name, method, settings)
        short = {each: 1 for each in ("steps", "epochs") if getattr(config, each, 0)}
        signal.alarm(30)
        try:
            state = method.fit(episode, replace(config, **short), chance(episode))
            fitted = Adapter(name, config, state, episode.text.classnames)
            query = Query(x, pre if method.needs else None)
            rows[name] = timed(lambda asked=(fitted, query): asked[0].logits(asked[1]))  # type: ignore[misc]
        except (TooLongError, RuntimeError, ValueError):
            continue
        finally:
            signal.alarm(0)
    return {name: row for name, row in rows.items() if "wall" in row}


PARTS = {"fits": fits, "commands": commands, "forwards": forwards, "answers": answers}
CHILDREN = {"fits": fits_here, "forwards": forwards_here, "answers": answers_here}

if __name__ == "__main__":
    main()
