"""What commands of both packages show and read: text for people, a document, words, completions."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from featcache.errors import FeatcacheError

if TYPE_CHECKING:
    from rich.console import Console

UNWRAPPED = 100_000  # columns; a table takes no more than it needs
UNBROKEN = 12  # letters of a word with digits that no table breaks
NUMBER = re.compile(r"\d").search

# How a Typer app of this project is made.
APP: dict[str, Any] = {
    "no_args_is_help": True,
    "add_completion": True,
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}

Cache = Annotated[
    Path | None,
    typer.Option(envvar="FEATCACHE_HOME", help="Cache root; the platform's cache folder if unset."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
Names = Callable[[typer.Context], Iterable[str]]
Completer = Callable[[typer.Context, str], list[str]]


def people(as_json: bool) -> Console:
    """Where text for people goes: standard output, or standard error beside a document.

    What goes into a file or a pipe is not wrapped, unless COLUMNS says at which width.
    """
    from rich.console import Console

    console = Console(stderr=as_json, highlight=False, soft_wrap=True)
    if not (console.is_terminal or console.is_jupyter or "COLUMNS" in os.environ):
        console.width = UNWRAPPED
    return console


def document(as_json: bool, content: Any) -> None:
    """Write one JSON document to standard output, if that is what was asked for."""
    if as_json:
        sys.stdout.write(json.dumps(content, ensure_ascii=False, default=str) + "\n")


def as_mapping(record: Any) -> dict[str, Any]:
    """A dataclass as a mapping."""
    return asdict(record)


def table(console: Console, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows of text below their heads; a column without text is left out, but the first."""
    from rich import box
    from rich.table import Table

    told = [i for i in range(len(heads)) if i == 0 or any(row[i] for row in rows)]
    drawn = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for i in told:
        # What people copy, the name in the first column, stays in one piece, and so do numbers.
        longest = max(
            (len(word) for row in rows for word in row[i].split() if NUMBER(word)), default=0
        )
        drawn.add_column(
            heads[i], overflow="fold", no_wrap=i == 0, min_width=min(longest, UNBROKEN)
        )
    for row in rows:
        drawn.add_row(*(row[i].replace("[", "\\[") for i in told))
    console.print(drawn, soft_wrap=False, crop=False)


@contextmanager
def progress(unit: str, doing: str = "encoding") -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal or in a notebook; it gives what is called with units done and in all."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn(doing),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TextColumn(f"{unit} {{task.fields[rate]}}"),
        TimeRemainingColumn(),
    )
    console = people(True)
    if console.is_jupyter and find_spec("ipywidgets") is None:  # which rich draws bars with there
        console = Console(stderr=True, force_jupyter=False, force_terminal=True)
    # A log file wants no bar, and the summary that follows says it all.
    quiet = not (console.is_terminal or console.is_jupyter)
    with Progress(*columns, console=console, transient=True, disable=quiet) as bar:
        task = bar.add_task("", total=None, rate="")

        def update(done: int, total: int) -> None:
            speed = bar.tasks[task].speed
            bar.update(task, completed=done, total=total, rate=f"{speed:.0f}/s" if speed else "")

        yield update


def part(text: str) -> tuple[int, int]:
    """The numbers of `i/N`. Raises `FeatcacheError` for another text."""
    first, slash, last = text.partition("/")
    if not (slash and first.isdigit() and last.isdigit()):
        raise FeatcacheError(f"--shard takes i/N such as 2/4, got {text!r}.")
    return int(first), int(last)


def one_of(option: str, value: str, allowed: Sequence[str]) -> None:
    """Raise `FeatcacheError` where an option has none of the allowed values."""
    if value not in allowed:
        raise FeatcacheError(f"{option} takes {' or '.join(allowed)}, got {value!r}.")


def completing(names: Names, listed: bool = False) -> Completer:
    """What Typer calls with the beginning of a word; with `listed` it may follow a comma.

    Whatever goes wrong, such as a damaged cache, gives no names.
    """

    def complete(context: typer.Context, incomplete: str) -> list[str]:
        before, comma, begun = incomplete.rpartition(",") if listed else ("", "", incomplete)
        try:
            known = list(names(context))
        except Exception:  # an error would stand in the middle of the line that is being typed
            return []
        left = [name for name in known if name.startswith(begun) and name not in before.split(",")]
        return [f"{before}{comma}{name}" for name in left]

    return complete


def fixed(names: Iterable[str], listed: bool = False) -> Completer:
    """Such a callback for names that are always the same."""
    known = tuple(names)
    return completing(lambda context: known, listed)
