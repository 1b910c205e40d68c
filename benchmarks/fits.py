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
import time

import scale
from fits_parts.commands import commands
from fits_parts.forwards import forwards, forwards_here
from fits_parts.methods import answers, answers_here, fits, fits_here
from fits_parts.reading import reading, reading_here

RESULTS = scale.RESULTS / "fits.json"
SECONDS = {"fits": 190, "commands": 140, "forwards": 40, "reading": 120, "answers": 110}
PARTS = {
    "fits": fits, "commands": commands, "forwards": forwards, "reading": reading,
    "answers": answers,
}  # fmt: skip
CHILDREN = {
    "fits": fits_here, "forwards": forwards_here, "reading": reading_here,
    "answers": answers_here,
}  # fmt: skip


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
    kept[name] = {"rows": rows, **scale.machine(), "load": os.getloadavg()[0]}
    for row, found in PARTS[name](asked, time.monotonic() + asked.patience * SECONDS[name]):
        rows.setdefault(row, {}).update(found)
        RESULTS.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
        print(name, row, json.dumps(found), flush=True)
    scale.write()


if __name__ == "__main__":
    main()
