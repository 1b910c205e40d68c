"""`adapters results`: the rows of results files, shown or written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adapters.commands.options import RESULTS, Where
from featcache import terminal
from featcache.terminal import Json


def results(
    where: Where = None,
    form: Annotated[
        str, typer.Option("--format", help="table, csv, json, latex or markdown.")
    ] = "table",
    out: Annotated[
        Path | None, typer.Option(help="Write .csv, .parquet, .json, .tex or .md instead.")
    ] = None,
    results: Annotated[list[Path] | None, typer.Option(help="Results files; repeatable.")] = None,
    as_json: Json = False,
) -> None:
    """Show or write the rows of results files. Example: adapters results --where method=fma"""
    from adapters.report.listing import FORMATS, brief, cell, text, write
    from adapters.results import read

    terminal.one_of("--format", form, FORMATS)
    found = read(results or [RESULTS], where or [])
    people = terminal.people(as_json)
    if out:
        people.print(f"Wrote {len(found)} rows to {write(found, out)}.", markup=False)
        terminal.document(as_json, {"rows": len(found), "file": str(out)})
    elif as_json or form != "table":
        print(text(found, "json" if as_json else form), end="")
    elif found.empty:
        people.print("no row fits" if where else "no row yet", markup=False)
    else:
        seen = brief(found)
        heads = [str(name) for name in seen.columns]
        rows = [[cell(value) for value in row] for row in seen.itertuples(index=False)]
        terminal.table(people, heads, rows)
