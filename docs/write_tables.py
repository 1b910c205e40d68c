"""Write the tables of the documents that are made of what the code declares.

    python docs/write_tables.py [--check]

With --check nothing is written, and the status is 1 where a table is stale.
"""

from __future__ import annotations

import sys
from pathlib import Path

from adapters.report.methods import methods_table

PAGE = Path(__file__).parent / "methods.md"
MARKS = "<!-- written by make docs -->", "<!-- end -->"


def written(page: str) -> str:
    """The page with its table as the code has it now."""
    before, _, rest = page.partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    return f"{before}{MARKS[0]}\n\n{methods_table()}\n\n{MARKS[1]}{after}"


def main() -> int:
    before = PAGE.read_text(encoding="utf-8")
    after = written(before)
    if "--check" in sys.argv:
        return int(before != after)
    PAGE.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
