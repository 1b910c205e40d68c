"""Whole commands, one after the other."""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fits_parts.conditions import environment, in_conditions
from fits_parts.timing import NOT_MEASURED, Rows

CLASSES = 19


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
