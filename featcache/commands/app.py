"""The `featcache` command: which commands it has, and by which names."""

from __future__ import annotations

import typer

from featcache.commands import compare, doctor, encode, exchange, look, repair
from featcache.terminal import APP

app = typer.Typer(help="Encode pictures and prompts once, into a cache.", **APP)
app.command()(encode.encode)
app.command()(doctor.doctor)
app.command("ls")(look.list_entries)
app.command()(look.info)
app.command()(compare.diff)
app.command()(repair.verify)
app.command("rm")(repair.remove)
app.command("gc")(repair.collect)
app.command()(look.datasets)
app.command()(look.backbones)
app.command("import")(exchange.import_files)
app.command()(exchange.export)
app.command()(exchange.merge)
