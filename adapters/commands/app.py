"""The commands of `adapters` as one app."""

from __future__ import annotations

from adapters.commands import ask, fit, methods, report, results, sweep
from featcache import terminal

app = terminal.new_app("Fit few-shot adapters on cached embeddings.")
plot = terminal.new_app("Draw what an adapter does.")
for command in (
    fit.fit,
    sweep.sweep,
    results.results,
    ask.predict,
    ask.evaluate,
    report.report,
    methods.methods,
):
    app.command()(command)
plot.command()(report.flow)
app.add_typer(plot, name="plot")
