"""Processes of their own: quiet, busy, with all threads or one, and no longer than they may."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import scale

from fits_parts.timing import NOT_MEASURED, Rows

ROOT = Path(__file__).parents[2]
DOOR = Path(__file__).parents[1] / "fits.py"  # which measures, asked with --child
ONE = {"OMP_NUM_THREADS": "1"}
GRACE = 2  # seconds after which a process that should have ended is made to


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
    line = [sys.executable, str(DOOR), "--child", name, "--methods", ",".join(rows)]
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
