"""`adapters report` and `adapters plot`: results and flows as pages and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adapters.commands import completion
from adapters.commands.options import RESULTS, AdapterFolder, Where
from featcache import terminal
from featcache.terminal import Cache, Json


def report(
    results: Annotated[Path, typer.Option(help="Results file.")] = RESULTS,
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("report"),
    baseline: Annotated[
        str | None,
        typer.Option(
            help="Method to compare with (zero-shot if it was run).",
            autocompletion=completion.method,
        ),
    ] = None,
    where: Where = None,
    run: Annotated[
        str | None, typer.Option(help="Id of the run to show class by class (the best).")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Methods a figure shows.")] = 8,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Write a page, figures and tables of the results so far.

    Example: adapters report --where dataset=digits --baseline tip-adapter
    """
    from adapters.report.build import report as write_report
    from adapters.report.rows import read
    from featcache.store.cache import FeatureCache

    runs = read(results, where or [])
    store = FeatureCache(cache)
    page = write_report(runs, out, results.name, baseline=baseline, run=run, top=top, cache=store)
    counts = {"runs": runs.count, "failed": len(runs.failed), "superseded": runs.superseded}
    terminal.document(as_json, {"page": str(page), **counts})
    terminal.people(as_json).print(
        f"Wrote {page} from {counts['runs']} runs ({counts['failed']} failed); its figures and "
        "tables lie beside it.",
        markup=False,
    )


def flow(
    adapter: AdapterFolder,
    out: Annotated[
        Path | None, typer.Option(help="File to write: .png, .svg, .pdf or .html (flow.png).")
    ] = None,
    pictures: Annotated[int, typer.Option(min=1, help="Test pictures whose way is drawn.")] = 150,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Draw the ways of pictures or prototypes through an adapter's flow.

    Example: adapters plot flow runs/ADAPTER --out flow.svg
    """
    from adapters.adapter import load
    from adapters.report.flow import flow_figure, write_flow
    from featcache.store.cache import FeatureCache

    fitted = load(adapter)
    figure = flow_figure(fitted, FeatureCache(cache).get(fitted.told("entry")), pictures)
    path = out or adapter / "flow.png"
    write_flow(figure, path)
    document = {"file": str(path), "explained": figure.explained, "accuracy": figure.accuracy}
    terminal.document(as_json, document)
    terminal.people(as_json).print(f"Wrote {path}. {figure.text}", markup=False)
