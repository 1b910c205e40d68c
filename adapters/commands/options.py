"""Options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adapters.commands import completion

RESULTS = Path("runs/results.sqlite")

Device = Annotated[str, typer.Option(help="auto (a GPU where it pays), cpu, cuda, cuda:1 …")]
AdapterFolder = Annotated[Path, typer.Argument(help="Folder that `adapters fit` printed.")]
Where = Annotated[
    list[str] | None,
    typer.Option(
        help="column=value[,value] of rows to use; repeatable.", autocompletion=completion.columns
    ),
]
On = Annotated[
    str | None,
    typer.Option(
        "--on",
        help="Other sets to score on, such as a,b (what is usual for the task and data set).",
        autocompletion=completion.datasets,
    ),
]
Text = Annotated[
    str | None,
    typer.Option("--text", help="concept: show bongard-hoi's answers, as rows then say."),
]
Transfer = Annotated[
    str | None,
    typer.Option(help="Data set for policy transfer.", autocompletion=completion.dataset),
]
