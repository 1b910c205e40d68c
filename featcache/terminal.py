"""What commands share: how they show things to people and to scripts. (stub to be replaced)"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from featcache.errors import FeatcacheError

if TYPE_CHECKING:
    from rich.console import Console


def new_app(text: str) -> Any:
    import typer

    return typer.Typer(
        help=text,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def as_mapping(record: Any) -> dict[str, Any]:
    """A dataclass as a mapping."""
    return asdict(record)


def people(as_json: bool) -> Console:
    from rich.console import Console

    return Console(stderr=as_json, highlight=False, soft_wrap=True)


def document(as_json: bool, document: Any) -> None:
    if as_json:
        print(json.dumps(document, ensure_ascii=False, default=str))


def table(people: Console, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.table import Table

    told = [i for i in range(len(heads)) if i == 0 or any(row[i] for row in rows)]
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for i in told:
        table.add_column(heads[i], overflow="fold", no_wrap=i == 0)
    for row in rows:
        table.add_row(*(row[i].replace("[", "\\[") for i in told))
    people.print(table, soft_wrap=False)


def part(text: str) -> tuple[int, int]:
    first, slash, last = text.partition("/")
    if not (slash and first.isdigit() and last.isdigit()):
        raise FeatcacheError(f"--shard takes i/N such as 2/4, got {text!r}.")
    return int(first), int(last)


def one_of(option: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise FeatcacheError(f"{option} takes {' or '.join(allowed)}, got {value!r}.")
