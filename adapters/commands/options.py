"""Options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RESULTS = Path("runs/results.sqlite")

Cache = Annotated[
    Path | None,
    typer.Option(envvar="FEATCACHE_HOME", help="Cache root; the platform's cache folder if unset."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
AdapterFolder = Annotated[Path, typer.Argument(help="Folder that `adapters fit` printed.")]
