"""docs/scale.md made of what the other benchmarks have measured.

    python benchmarks/scale.py [--out docs/scale.md]

Reads benchmarks/results/fits.json (`benchmarks/fits.py`), reading_grid.json (`benchmarks/reading.py
grid`), imagenet_size.json (`benchmarks/imagenet_size.py`) and whole_sets.json
(`benchmarks/whole_sets.py`), all of which call it, and the rates of encoding. A part that was not
measured has no section.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import whole_sets_page

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
NEWLINE = "\n"
KEPT = "\n## A step of learning prompts"  # by benchmarks/prompt_learning.py
Rows = Mapping[str, Mapping[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=PAGE)
    write(parser.parse_args().out)


def write(path: Path = PAGE) -> None:
    """The page anew, of all results that there are."""
    fits, size, sweep = map(_held, ("fits.json", "imagenet_size.json", "reading_grid.json"))
    sections = [
        make(part["rows"]) + _machine(part)
        for name, make in SECTIONS.items()
        if (part := fits.get(name))
    ]
    sections += [grid(sweep) + _machine(sweep)] if sweep else []
    sections += [imagenet_size(size)] if size else []
    if whole := _held("whole_sets.json"):
        sections.insert(0, whole_sets_page.section(whole))
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    _, mark, rest = before.partition(KEPT)
    path.write_text(f"{HEAD}\n{NEWLINE.join(sections)}{mark}{rest}", encoding="utf-8")


def machine() -> dict[str, Any]:
    """Where and with what it was measured."""
    return {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "torch": version("torch"),
        "python": platform.python_version(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


HEAD = """# At ImageNet's size, and beside a busy neighbour

Written by `python benchmarks/scale.py` from what `make bench-fit`,
`python benchmarks/imagenet_size.py`, `python benchmarks/reading.py grid` and
`python benchmarks/whole_sets.py` measured; do not edit by hand.

All features are made up: noise around class centres, 512 wide. How well methods do is no question
here. *Wall* is seconds by the clock, *processor* what all cores together spent.
"""


def fits(rows: Rows) -> str:
    """Fits of every method, quiet and busy."""
    return f"""## Fits on 19 classes x 16 shots

With the choice of settings on 4 validation pictures a class, on a quiet machine and beside one
process that never rests: as it is, and with one thread (`OMP_NUM_THREADS=1`). *Times* is the
processor's seconds as it is by those with one thread, busy.

| method | quiet: wall | processor | one thread: wall | processor | busy: wall | processor \
| one thread: wall | processor | times |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
{_conditions(rows)}
"""


def commands(rows: Rows) -> str:
    """Commands in the same conditions."""
    return f"""## Commands, quiet and busy

Whole commands, the start of Python and torch (some 3 s) included: 2,000 JPEGs of 500 x 375 in 19
classes with the demo backbone.

| command | quiet: wall | processor | one thread: wall | processor | busy: wall | processor \
| one thread: wall | processor | times |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
{_conditions(rows)}
"""


def forwards(rows: Rows) -> str:
    """The forward of two towers in the same conditions."""
    return f"""## Forwards, quiet and busy

The picture tower alone: 2,048 pictures with the demo backbone, 32 with a ViT-B/32 of random
weights.

| tower | quiet: wall | processor | one thread: wall | processor | busy: wall | processor \
| one thread: wall | processor | times |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
{_conditions(rows)}
"""


CONDITIONS = ("quiet", "quiet, one thread", "busy", "busy, one thread")


def _conditions(rows: Rows) -> str:
    lines = []
    for name, row in sorted(rows.items()):
        cells: list[str] = []
        for condition in CONDITIONS:
            found = row.get(condition) or {}
            cells.append(_told(found, ("wall", "cpu")))
        one, busy = (row.get(each, {}).get("cpu") for each in (CONDITIONS[3], CONDITIONS[2]))
        times = f"{busy / one:.1f}" if one and busy else ""
        lines.append(f"| `{name}` | {' | '.join(cells)} | {times} |")
    return "\n".join(lines)


def reading(rows: Rows) -> str:
    """Draws, opening, an import and fits of many training rows."""
    keys = ("wall", "cpu", "peak_gb")
    lines = [f"| {name} | {_told(row, keys)} |" for name, row in sorted(rows.items())]
    return f"""## Reading

Entries of 1,000 classes and 50,000 test pictures: *large* has 1,281,167 training rows, *16 a class*
what a draw of 16 needs of it; 10,000 shards with 20 million rows are opened. Each line with a
memory is a process of its own, and that is its peak, torch included; a line below it, with
processor seconds alone, is a part of what it did. An index is made once, by `featcache encode` or
`import`.

| what | wall | processor | memory, GB |
| --- | ---: | ---: | ---: |
{NEWLINE.join(lines)}
{_ratios(rows)}"""


def _ratios(rows: Rows) -> str:
    """How many times as much the large entry takes as one of 16 a class."""
    found = []
    for name, row in sorted(rows.items()):
        method = name.removeprefix("fits: large, ")
        other = rows.get(f"fits: 16 a class, {method}", {})
        if "cpu" in row and "cpu" in other and method != name:
            cpu, memory = (f"{row[key] / other[key]:.2f}" for key in ("cpu", "peak_gb"))
            found.append(f"| `{method}` | {cpu} | {memory} |")
    return (
        f"""
A fit on the large entry takes so many times what one on 16 a class does:

| method | processor | memory |
| --- | ---: | ---: |
{NEWLINE.join(found)}
"""
        if found
        else ""
    )


def grid(steps: Rows) -> str:
    """The sweep of the large entry by two workers."""
    resumed, again = steps["resumed"], steps["again"]
    runs = resumed["before"] + resumed["done"]
    return f"""## A sweep of the large entry

`python benchmarks/reading.py grid`: 8 methods x 5 shots x 3 seeds on 1,281,167 training rows and
50,000 test pictures by two workers; seconds are the processor's. It was killed after
{steps["killed"]["done"]} runs. The same command found {resumed["before"]} of {runs} done and did
{resumed["done"]} ({resumed["failed"]} failed); once more it found {again["before"]} and did
{again["done"]}. Both workers held {resumed["workers_mb"] / 1024:.1f} GB together at most, with
pages that they share counted once.

| of {resumed["done"]} runs | seconds |
| --- | ---: |
| fits | {resumed["fits_s"]:.1f} |
| answers to the test pictures | {resumed["answers_s"]:.1f} |
| accuracy, calibration and likelihood of the answers | {resumed["scores_s"]:.1f} |
| draws, with the reading of the test split by each worker | {resumed["draws_s"]:.1f} |
| all else | {_else(resumed):.1f} |

The first draw of a worker, which reads the test split, took {resumed["first_draw_s"]:.2f} s; the
others together {resumed["draw_ms"]:.1f} ms a run; beside fit, answers, scores and draw a run takes
{resumed["beside_ms"]:.1f} ms (median).
"""


def _else(step: Mapping[str, Any]) -> float:
    parts = ("fits_s", "answers_s", "scores_s", "draws_s")
    return float(step["all_s"] - sum(step[part] for part in parts))


def answers(rows: Rows) -> str:
    """Answering, beside the arithmetic of a linear classifier."""
    keys = ("seconds", "product_seconds", "times", "equation", "of_equation")
    lines = [
        f"| `{name}` | {row.get('pictures', '')} | {_told(row, keys)} |"
        for name, row in sorted(rows.items())
    ]
    return f"""## Answers

Pictures among 1,000 classes (16 shots), one thread, processor seconds; adapters whose training was
cut short, for what they have learned takes no time. The *product* normalises and multiplies with
class vectors, in the same rounds; *times* is beside it, *equation* what the products of the
method's own equation need, in products, and *of that* is how many times as much was taken
(`benchmarks/answering.py`).

| method | pictures | seconds | product | times | equation | of that |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
{NEWLINE.join(lines)}
"""


def _told(row: Mapping[str, Any], keys: Sequence[str]) -> str:
    """Cells of the row, or why it was not measured."""
    if "failed" in row:
        return " | ".join([row["failed"], *[""] * (len(keys) - 1)])
    return " | ".join(_seconds(row.get(key)) for key in keys)


SECTIONS = {
    "fits": fits, "commands": commands, "forwards": forwards, "reading": reading,
    "answers": answers,
}  # fmt: skip


def imagenet_size(rows: Rows) -> str:
    """Fits at ImageNet's size."""
    lines = [_size_line(name, row) for name, row in sorted(rows.items())]
    data = statistics.median(row["data_gb"] for row in rows.values() if "data_gb" in row)
    last = max(rows.values(), key=lambda row: row["time"])
    return f"""## Fits on 1,000 classes x 16 shots

20 views beside the centre crop, 7 prompts a class; settings are chosen on 4 validation pictures a
class (policy `few-shot-val`; `proker` with `preset=imagenet`). Seconds are those of a fit with its
choice of settings. Where that would take long, the fit was stopped after some optimiser steps and
they are an estimate (≈): the median step, times steps, times fits that train, so without the scores
on validation. Where there are many fits, `--policy none` or a fixed setting does one. Memory is the
process's peak, of which torch and the features themselves are about {data:.1f} GB.

| method | fits | settings tried | steps a fit | wall | processor | memory, GB |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
{NEWLINE.join(lines)}

torch {last["torch"]}, Python {last["python"]}, at most {last["threads"]} threads on
{last["cores"]} cores.
"""


def _size_line(name: str, row: Mapping[str, Any]) -> str:
    tried, steps = row.get("tried", ""), row.get("steps", "")
    if "failed" in row:
        wall, cpu = row["failed"], ""
    elif "step_s" in row:
        times = row["trained"] * row["steps"]
        wall = f"≈ {times * row['step_s']:,.0f}"
        cpu = f"≈ {times * row['step_cpu_s']:,.0f}" if "step_cpu_s" in row else ""
    else:
        wall, cpu = _seconds(row["fit_s"]), _seconds(row["cpu_s"])
    memory = f"{row['peak_gb']:.1f}" if "peak_gb" in row else ""
    counts = " | ".join(f"{n:,}" if isinstance(n, int) else "" for n in (tried, steps))
    return f"| `{name}` | {row.get('fits', '')} | {counts} | {wall} | {cpu} | {memory} |"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}" if value < 1 else f"{value:.1f}"


def _machine(part: Mapping[str, Any]) -> str:
    return (
        f"\ntorch {part['torch']}, Python {part['python']}, {part['cores']} cores "
        f"({part['machine']}); load before it began {part['load']:.1f}: where that is not near 0, "
        "other work had its share of the cores, and only the processor's seconds say much.\n"
    )


def _held(name: str) -> Any:
    path = RESULTS / name
    return json.loads(path.read_text()) if path.exists() else {}


if __name__ == "__main__":
    main()
