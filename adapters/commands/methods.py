"""`adapters methods`: what there is to fit, and what each method can be set to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from adapters import registry
from adapters.commands import completion
from featcache import terminal
from featcache.errors import ConfigError
from featcache.terminal import Cache, Json

if TYPE_CHECKING:
    from adapters.using.durations import Duration
    from featcache.store.entry import Entry


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
    timed: Annotated[
        bool, typer.Option("--time", help="Also how long each takes here, on a draw of --dataset.")
    ] = False,
    dataset: Annotated[
        str | None,
        typer.Option(help="Cached data set, for --time.", autocompletion=completion.dataset),
    ] = None,
    backbone: Annotated[
        str | None, typer.Option(help="Its backbone.", autocompletion=completion.backbone)
    ] = None,
    shots: Annotated[
        int | None, typer.Option(min=1, help="Training pictures a class, for --time (16).")
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(
            help="Who chooses settings, for --time (few-shot-val).",
            autocompletion=completion.policy,
        ),
    ] = None,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """List the methods, or one method's settings. Example: adapters methods fma"""
    terminal.one_of("--format", form, ("table", "markdown"))
    if (dataset or backbone or shots or policy) and not timed:
        raise ConfigError(
            "--dataset, --backbone, --shots and --policy say what to take the time of; add --time."
        )
    if form == "markdown":
        from adapters.report.methods import methods_table

        print(methods_table())
    elif timed:
        from featcache.store.cache import FeatureCache

        entry = FeatureCache(cache).find(dataset, backbone)
        _time(entry, [name] if name else registry.names(), shots, policy, as_json)
    elif name is None:
        _list(every, as_json)
    else:
        _show(name, as_json)


def _list(every: bool, as_json: bool) -> None:
    from adapters import unavailable

    found = [(n, registry.summary(n), registry.needs(n)) for n in registry.names()]
    others = unavailable.METHODS if every else {}
    documents = [{"name": n, "summary": s, "needs": needs} for n, s, needs in found]
    documents += [{"name": n, **terminal.as_mapping(m)} for n, m in others.items()]
    terminal.document(as_json, documents)
    people = terminal.people(as_json)
    terminal.table(people, ("method", "what", "needs"), [(n, s, ", ".join(m)) for n, s, m in found])
    if every:
        rows = [(n, m.title, m.reason, unavailable.numbers(m)) for n, m in others.items()]
        heads = ("not here", "what", "because it", "reported elsewhere")
        terminal.table(people, heads, rows)


def _time(
    entry: Entry, names: list[str], shots: int | None, policy: str | None, as_json: bool
) -> None:
    """How long each method takes here, the quickest first."""
    for name in names:
        registry.file(name)  # an unknown name is refused before torch is imported

    from adapters.ability import usual
    from adapters.using.durations import TASK, durations

    found = []
    count, by = usual(TASK, shots, policy)
    with terminal.progress("methods", "timing") as advance:
        for done in durations(entry, names, count, by):
            found.append(done)
            advance(len(found), len(names))
    found.sort(key=lambda each: (each.seconds is None, each.seconds))
    terminal.document(as_json, [terminal.as_mapping(each) for each in found])
    people = terminal.people(as_json)
    told = [(e.method, _seconds(e), ", ".join(registry.needs(e.method))) for e in found]
    terminal.table(people, ("method", "a fit, s", "needs"), told)
    people.print(
        f"A fit on {count} shots of {entry.dataset} with its choice of settings ({by}), by the "
        "clock; with ≈ reckoned by a few steps.",
        markup=False,
    )
    refused: dict[str, list[str]] = {}
    for each in found:
        if each.refused:
            refused.setdefault(each.refused.removeprefix(f"{each.method} "), []).append(each.method)
    for reason, those in refused.items():
        people.print(f"{', '.join(those)}: {reason}", markup=False)


def _seconds(found: Duration) -> str:
    if found.seconds is None:
        return ""
    return f"{'≈ ' if found.reckoned else ''}{found.seconds:.2f}"


def _show(name: str, as_json: bool) -> None:
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
