"""`adapters methods`: what there is to fit, and what each method can be set to."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from adapters.commands import completion
from featcache import terminal
from featcache.terminal import Json


def methods(
    name: Annotated[
        str | None,
        typer.Argument(help="One method, with its settings.", autocompletion=completion.method),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Also those that cannot run on cached embeddings.")
    ] = False,
    form: Annotated[
        str, typer.Option("--format", help="table, or markdown: with sources and status.")
    ] = "table",
    as_json: Json = False,
) -> None:
    """List the methods, or one method's settings. Example: adapters methods fma"""
    terminal.one_of("--format", form, ("table", "markdown"))
    if form == "markdown":
        from adapters.report.methods import methods_table

        print(methods_table())
    elif name is None:
        _list(every, as_json)
    else:
        _show(name, as_json)


def _list(every: bool, as_json: bool) -> None:
    from adapters import registry, unavailable

    found = [(each, registry.summary(each)) for each in registry.names()]
    others = unavailable.METHODS if every else {}
    documents = [{"name": n, "summary": s} for n, s in found]
    documents += [{"name": n, **terminal.as_mapping(m)} for n, m in others.items()]
    terminal.document(as_json, documents)
    people = terminal.people(as_json)
    terminal.table(people, ("method", "what"), found)
    if every:
        rows = [(n, m.title, m.reason, unavailable.numbers(m)) for n, m in others.items()]
        heads = ("not here", "what", "because it", "reported elsewhere")
        terminal.table(people, heads, rows)


def _show(name: str, as_json: bool) -> None:
    from adapters import registry

    line = registry.summary(name)  # an unknown name is refused before torch is imported

    from adapters.compose import get
    from adapters.configure import settings

    method = get(name)
    rows = [terminal.as_mapping(setting) for setting in settings(method)]
    presets = {key: dict(value) for key, value in method.presets.items()}
    document = {"name": name, "summary": line, "settings": rows, "presets": presets}
    terminal.document(as_json, document)
    people = terminal.people(as_json)
    people.print(line, markup=False)
    told = [(row["name"], str(row["default"]), row["description"]) for row in rows]
    terminal.table(people, ("setting", "default", "what"), told)
    for preset, overrides in presets.items():
        people.print(f"preset={preset}: {json.dumps(overrides)}", markup=False)
