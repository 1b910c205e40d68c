"""The options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from featcache.commands import completion

Cache = Annotated[
    Path | None,
    typer.Option(envvar="FEATCACHE_HOME", help="Cache root; the platform's cache folder if unset."),
]
Root = Annotated[
    Path | None, typer.Option(envvar="FEATCACHE_DATA", help="Folder that holds the data sets.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
Key = Annotated[str, typer.Argument(autocompletion=completion.keys)]
EveryKey = Annotated[
    str | None,
    typer.Argument(help="An entry's key; all if left out.", autocompletion=completion.keys),
]
