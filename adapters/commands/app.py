"""The commands of `adapters` as one app."""

from __future__ import annotations

import typer

from adapters.commands import ask, export, fit, methods, report, reproduce, results, sweep
from featcache.terminal import APP

app = typer.Typer(help="Fit few-shot adapters on cached embeddings.", **APP)
plot = typer.Typer(help="Draw what an adapter does.", **APP)
for command in (
    fit.fit,
    sweep.sweep,
    results.results,
    ask.predict,
    ask.evaluate,
    export.export,
    report.report,
    reproduce.reproduce,
    methods.methods,
):
    app.command()(command)
plot.command()(report.flow)
app.add_typer(plot, name="plot")
