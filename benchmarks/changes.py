"""What changed between two pages of results, by their tables.

    python benchmarks/changes.py BEFORE.md AFTER.md

Pages are those of `benchmarks/whurs19.py`: a table's first column is the method, and columns named
by shots hold `mean ± deviation` or, of base-to-new, `base / new / harmonic mean`.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from adapters.report.tables import markdown

POINT = 0.3  # above which the changelog says why
HALVES = ("base", "new", "harmonic mean")


class Cell(NamedTuple):
    """A number of a page: its heading, method, column, and of base-to-new which of the three."""

    heading: str
    method: str
    column: str
    half: str = ""

    @property
    def place(self) -> str:
        """Where it stands, for people."""
        heading = "" if self.half else self.heading  # where columns say the backbone themselves
        return ", ".join(filter(None, (heading, self.column, self.half)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    pages = parser.parse_args()
    print(section(*(path.read_text(encoding="utf-8") for path in (pages.before, pages.after))))


def numbers(page: str) -> dict[Cell, float]:
    """Every accuracy of a page."""
    found: dict[Cell, float] = {}
    heading, heads = "", list[str]()
    for line in page.splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ")
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("| "):
            heads = []
        elif not heads:
            heads = cells
        elif heads[0] == "method":
            for column, text in zip(heads[1:], cells[1:], strict=True):
                for half, number in _read(text) if "shot" in column else ():
                    found[Cell(heading, cells[0], column, half)] = number
    return found


def _read(text: str) -> Iterator[tuple[str, float]]:
    if mean := re.fullmatch(r"(\d+\.\d) ± .*", text):
        yield "", float(mean[1])
    elif text.count(" / ") == 2:
        yield from zip(HALVES, map(float, text.split(" / ")), strict=True)


def changes(before: str, after: str) -> dict[Cell, float]:
    """Points that each number of both pages is above what it was, to their one digit."""
    old, new = numbers(before), numbers(after)
    return {cell: round(new[cell] - old[cell], 1) for cell in new if cell in old}


def section(before: str, after: str) -> str:
    """Tables of what changed, a method a row."""
    found, every = changes(before, after), numbers(after)
    parts = []
    for title, halves in (("", False), ("Base to new (base, new and harmonic mean):", True)):
        own = {cell: change for cell, change in found.items() if bool(cell.half) is halves}
        if own:
            parts += [title, _table(own)] if title else [_table(own)]
    large = sum(abs(change) > POINT for change in found.values())
    fresh = sorted({cell.method for cell in every} - {cell.method for cell in found})
    parts += [f"Without earlier rows: {', '.join(f'`{name}`' for name in fresh)}." if fresh else ""]
    told = f"{large} of {len(found)} means changed by more than {POINT} points."
    return "\n\n".join(filter(None, [told, *parts]))


def _table(found: dict[Cell, float]) -> str:
    rows = []
    for method in dict.fromkeys(cell.method for cell in found):
        own = {cell: change for cell, change in found.items() if cell.method == method}
        most = max(own, key=lambda cell: abs(own[cell]))
        large = sum(abs(change) > POINT for change in own.values())
        where = f"{own[most]:+.1f} ({most.place})" if own[most] else "0.0"
        rows.append([method, f"{fmean(own.values()):+.2f}", where, f"{large} of {len(own)}"])
    return markdown(["method", "mean change", "largest", f"above {POINT}"], rows)


if __name__ == "__main__":
    main()
