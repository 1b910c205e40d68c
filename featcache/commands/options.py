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
Recursive = Annotated[
    bool, typer.Option("--recursive", help="Take folders inside class folders too.")
]
FollowLinks = Annotated[
    bool, typer.Option("--follow-links", help="Take what links out of the folder lead to.")
]
MaxPixels = Annotated[float, typer.Option(min=0.001, help="Largest picture, in million pixels.")]
