"""Options that several commands of `featcache` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from featcache.commands import completion

Root = Annotated[
    Path | None, typer.Option(envvar="FEATCACHE_DATA", help="Folder that holds the data sets.")
]
Key = Annotated[str, typer.Argument(autocompletion=completion.keys)]
EveryKey = Annotated[
    str | None,
    typer.Argument(help="An entry's key; all if left out.", autocompletion=completion.keys),
]
