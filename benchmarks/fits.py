"""Seconds of fits, commands, forwards, reading and answers, on made-up features; docs/scale.md.

    python benchmarks/fits.py [--parts fits,commands,…] [--methods a,b] [--limit 30] [--patience 1]

Fits, commands and forwards run four times, each in a process of its own: as they are and with one
thread, and both again beside a process that never rests, which this one starts. What is measured
comes through the door or its libraries, so that the rule for threads (`featcache/threads.py`) is
what decides. Each row is written to benchmarks/results/fits.json as it comes, and the page after
each part. A part has so many seconds (`SECONDS`, ten minutes together; `--patience 5` gives five
times as many); what it did not come to is a row that says so.
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
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
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
SECONDS = {"fits": 190, "commands": 140, "forwards": 40, "reading": 120, "answers": 110}
GRACE = 2  # seconds after which a process that should have ended is made to
NOT_MEASURED = {"failed": "not measured: no time left"}
PICTURES = 5_000  # asked of every method
READING = {"draws": 1, "opening": 3, "fits": 6}  # the quickest first; shares of the time
Row = dict[str, Any]
Rows = Iterator[tuple[str, Row]]


class TooLongError(Exception):
    """A measurement has had its time."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--parts", default=",".join(PARTS), help="of the page")
    parser.add_argument("--methods", default="", help="some of them; their rows are replaced")
    parser.add_argument("--limit", type=float, default=30, help="seconds a fit may take")
    parser.add_argument("--patience", type=float, default=1, help="times the seconds of each part")
    parser.add_argument("--child", default="", help="measure this here, a row a line")
    parser.add_argument("--seconds", type=float, default=0, help="of the child, in all")
    asked = parser.parse_args()
    if asked.child:
        for row in CHILDREN[asked.child](asked, time.monotonic() + asked.seconds):
            print(json.dumps(row), flush=True)
        return
    for name in asked.parts.split(","):
        measure(name, asked)


def measure(name: str, asked: argparse.Namespace) -> None:
    """One part: each row is in the results as soon as it is there."""
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    rows = kept[name]["rows"] if asked.methods and name in kept else {}
    kept[name] = {"rows": rows, **machine(), "load": os.getloadavg()[0]}
    for row, found in PARTS[name](asked, time.monotonic() + asked.patience * SECONDS[name]):
        rows.setdefault(row, {}).update(found)
        RESULTS.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
        print(name, row, json.dumps(found), flush=True)
    scale.write()


def machine() -> dict[str, Any]:
    """Where and with what it was measured."""
    return {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "torch": version("torch"),
        "python": platform.python_version(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def methods(asked: argparse.Namespace) -> list[str]:
    """Those asked for, or all but learners of prompts (benchmarks/prompt_learning.py)."""
    from adapters import names
    from adapters.compose import get
    from adapters.episode import TEXT_TOWER

    known = [name for name in sorted(names()) if TEXT_TOWER not in get(name).needs]
    return asked.methods.split(",") if asked.methods else known


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


def in_conditions(measure: Callable[[Mapping[str, str], float], Rows], until: float) -> Rows:
    """What it measures under an environment, each condition with its share of the time."""
    for left, condition in zip((4, 3, 2, 1), scale.CONDITIONS, strict=True):
        share = time.monotonic() + max(0, until - time.monotonic()) / left
        with neighbour() if condition.startswith("busy") else nullcontext():
            for name, found in measure(ONE if condition.endswith("one thread") else {}, share):
                yield name, {condition: found}


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """This one's, less what is said there of threads, and with more."""
    said = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    kept = {name: value for name, value in os.environ.items() if name not in said}
    return {**kept, "PYTHONPATH": str(ROOT), **more}


def child(
    name: str, rows: list[str], asked: argparse.Namespace, more: Mapping[str, str], until: float
) -> Rows:
    """What a fresh process measures, row by row; rows that it did not come to say so."""
    line = [sys.executable, __file__, "--child", name, "--methods", ",".join(rows)]
    line += ["--limit", str(asked.limit), "--seconds", str(max(0, until - time.monotonic()))]
    missing = dict.fromkeys(rows)
    with tempfile.TemporaryDirectory() as scratch:
        there = environment({**more, "TMPDIR": scratch})
        process = subprocess.Popen(
            line, env=there, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        end = threading.Timer(max(0, until + GRACE - time.monotonic()), stop, [process])
        end.start()
        try:
            assert process.stdout is not None
            for told in process.stdout:
                row, found = json.loads(told)
                missing.pop(row, None)
                if found:
                    yield row, found
        finally:
            end.cancel()
            stop(process)
    early = time.monotonic() < until
    for row in missing:
        yield row, {"failed": "not measured: its process failed"} if early else dict(NOT_MEASURED)


def stop(process: subprocess.Popen[str]) -> None:
    """End it with all that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def timed(work: Callable[[], Any], limit: float) -> dict[str, Any]:
    """Seconds of the clock and of the processor: the median, where it is short and repeated."""

    def too_long(*_: object) -> None:
        raise TooLongError

    if limit <= 0:
        return dict(NOT_MEASURED)
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
        return {"failed": f"more than {limit:.0f} s"}
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}"}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return {"wall": statistics.median(walls), "cpu": statistics.median(cpus)}


# Fits of every method


def fits(asked: argparse.Namespace, until: float) -> Rows:
    """Every method, in the four conditions."""
    named = methods(asked)
    return in_conditions(lambda more, end: child("fits", named, asked, more, end), until)


def fits_here(asked: argparse.Namespace, until: float) -> Rows:
    """Every method with its choice of settings, one after the other."""
    from featcache.threads import wait_passively

    wait_passively()  # as the door does
    from imagenet_size import invented

    from adapters.compose import get
    from adapters.configure import configure
    from adapters.selection import select

    plain, wide = invented(CLASSES), invented(CLASSES, extras=True)
    # What the first training of a process loads is no method's time.
    select(get("taskres"), plain[0], get("taskres").config(epochs=1), None)
    for name in methods(asked):
        method = get(name)
        episode, held = wide if method.needs else plain
        config, fixed = configure(name, method, {})
        fit = (method, episode, config, held, fixed)
        left = min(asked.limit, until - time.monotonic())
        yield name, timed(lambda fit=fit: select(*fit), left)  # type: ignore[misc]


# Commands


def commands(asked: argparse.Namespace, until: float) -> Rows:
    """Encode, fit, evaluate, predict and report, in the four conditions."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        some = jpegs(folder)
        yield from in_conditions(lambda more, end: chain(folder, some, more, end), until)


def jpegs(folder: Path, train: int = 80, test: int = 25) -> list[str]:
    """Class folders of 1,995 JPEGs under `data`; some of the files."""
    from encoding_parts.material import pictures

    (folder / "few").mkdir()
    items = pictures(folder / "few", 64).splits.values()
    few = [item.source.read_bytes() for split in items for item in split]  # type: ignore[union-attr]
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


def chain(folder: Path, some: list[str], more: Mapping[str, str], until: float) -> Rows:
    """The commands one after the other, from an empty cache."""
    cache, runs = folder / "cache", folder / "runs"
    for old in (cache, runs):
        shutil.rmtree(old, ignore_errors=True)
    env = environment(more) | {"FEATCACHE_HOME": str(cache)}
    pictures, cached = ["--dataset", str(folder / "data")], ["--dataset", "data"]
    saved = str(folder / "saved")
    lines = {
        "featcache encode": [*pictures, "--backbone", "demo", "--views", "0"],
        "adapters fit": [*cached, "--method", "fma", "--out", str(runs)],
        "adapters evaluate": [saved],
        "adapters predict": [saved, *some],
        "adapters report": ["--results", str(runs / "results.sqlite")],
    }
    for name, words in lines.items():
        yield name, run(name, words, env, folder, until)
        for card in runs.glob("*/adapter.json"):
            shutil.copytree(card.parent, saved, dirs_exist_ok=True)


def run(
    name: str, words: list[str], env: Mapping[str, str], where: Path, until: float
) -> dict[str, Any]:
    """Seconds of one command."""
    command = name.split()
    code = f"import cli; cli.{command[0]}()"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    line = [sys.executable, "-c", code, *command[1:], *words]
    left = max(0, until - time.monotonic())
    try:
        ran = subprocess.run(
            line, env=dict(env), cwd=where, capture_output=True, text=True, timeout=left
        )
    except subprocess.TimeoutExpired:
        return dict(NOT_MEASURED)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if ran.returncode:
        return {"failed": (ran.stderr.strip() or "failed").splitlines()[-1]}
    return {"wall": wall, "cpu": sum(after[:2]) - sum(before[:2])}


# Forwards

TOWERS = {"demo": 2048, "ViT-B/32": 32}  # pictures


def forwards(asked: argparse.Namespace, until: float) -> Rows:
    """Two picture towers, in the four conditions."""
    return in_conditions(lambda more, end: child("forwards", [*TOWERS], asked, more, end), until)


def forwards_here(asked: argparse.Namespace, until: float) -> Rows:
    """Pictures that lie in memory through the towers."""
    from featcache.threads import wait_passively

    wait_passively()
    import numpy as np
    import open_clip

    from featcache import load_backbone
    from featcache.backbones.forward import encode_pictures

    demo = load_backbone("demo", device="cpu")
    for name, count in TOWERS.items():
        backbone = demo
        if name != "demo":
            model = open_clip.create_model("ViT-B-32", pretrained=None).eval()
            backbone = replace(demo, model=model, preprocess=replace(demo.preprocess, size=224))
        side = backbone.preprocess.size
        batch = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
        pass_on = (backbone, batch)
        encode_pictures(backbone, batch[:8])
        left = until - time.monotonic()
        yield name, timed(lambda pass_on=pass_on: encode_pictures(*pass_on), left)  # type: ignore[misc]


# Reading


def reading(asked: argparse.Namespace, until: float) -> Rows:
    """Draws, opening, an import and fits of 1,281,167 training rows and more."""
    left = sum(READING.values())
    for part, share in READING.items():
        now = time.monotonic()
        yield from child("reading", [part], asked, {}, now + max(0, until - now) * share / left)
        left -= share


def reading_here(asked: argparse.Namespace, until: float) -> Rows:
    """What a part of benchmarks/reading.py finds, as it comes: a row a process or number."""
    import reading as parts

    for part in asked.methods.split(","):
        for name, found in parts.found(part):
            yield from told(f"{part}: {name}", found)
        yield part, {}  # all of it is there


def told(name: str, found: Any) -> Rows:
    """The row of a process, with those of what it did by itself; or of a number."""
    if not isinstance(found, dict):
        yield name, {"cpu": found}
        return
    peak = found["peak_mb"] / 1024
    yield name, {"wall": found["wall_s"], "cpu": found["processor_s"], "peak_gb": peak}
    for key, value in found.items():
        if key.endswith("_s") and key not in ("wall_s", "processor_s"):
            yield f"{name}: {key.removesuffix('_s')}", {"cpu": value}


# Answers


def answers(asked: argparse.Namespace, until: float) -> Rows:
    """Answers of every method beside those of a linear classifier, with one thread."""
    return child("answers", methods(asked), asked, ONE, until)


def answers_here(asked: argparse.Namespace, until: float) -> Rows:
    """Rows of benchmarks/answering.py: some thousand pictures among 1,000 classes."""
    import torch
    from answering import measured

    torch.set_num_threads(1)
    for name in methods(asked):
        row: Row = {}
        found = timed(
            lambda name=name, row=row: row.update(measured([name], PICTURES)["methods"][name]),  # type: ignore[misc]
            until - time.monotonic(),
        )
        yield name, row or found


PARTS = {
    "fits": fits, "commands": commands, "forwards": forwards, "reading": reading,
    "answers": answers,
}  # fmt: skip
CHILDREN = {
    "fits": fits_here, "forwards": forwards_here, "reading": reading_here,
    "answers": answers_here,
}  # fmt: skip

if __name__ == "__main__":
    main()
