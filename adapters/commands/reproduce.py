"""`adapters reproduce`: published tables made anew, and ours beside theirs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adapters.commands import completion
from adapters.commands.options import RESULTS, Device
from featcache import terminal
from featcache.errors import CacheError, ConfigError, SweepError
from featcache.terminal import Cache, Json

if TYPE_CHECKING:
    from rich.console import Console

    from adapters.reproducing.comparing import Difference, Planned
    from adapters.reproducing.needs import Need
    from adapters.reproducing.tables import Reproduction
    from adapters.results import Results

LIST = "list"


def reproduce(
    table: Annotated[
        str, typer.Argument(help="Such as tip-rn50; or list.", autocompletion=completion.tables)
    ],
    encode: Annotated[
        bool, typer.Option("--encode", help="First encode what is on disk; fetches nothing.")
    ] = False,
    root: Annotated[
        Path | None,
        typer.Option(envvar="FEATCACHE_DATA", help="Folder of data sets, for --encode."),
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Say what is needed and what is cached.")] = False,
    method: Annotated[
        str | None, typer.Option(help="Some of its methods, such as gda,coop (all).")
    ] = None,
    shots: Annotated[str | None, typer.Option(help="Some of its numbers of shots (all).")] = None,
    prompts: Annotated[
        str | None,
        typer.Option(help="Bank in place of the table's text.", autocompletion=completion.banks),
    ] = None,
    on_test: Annotated[
        bool, typer.Option("--on-test", help="Choose on test where the source did; rows say so.")
    ] = False,
    jobs: Annotated[int, typer.Option(min=0, help="Runs at once (0: one a core, or a GPU).")] = 0,
    device: Device = "auto",
    results: Annotated[Path, typer.Option(help="Results file.")] = RESULTS,
    out: Annotated[
        Path | None, typer.Option(help="File for ours, in the form of data/published.json.")
    ] = None,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Make a published table anew on what is cached: ours, theirs, the difference, and why.

    Example: adapters reproduce demo --encode
    """
    people = terminal.people(as_json)
    if table == LIST:
        _list(people, as_json)
        return

    from adapters.reproducing import comparing, tables, text
    from adapters.reproducing.needs import encode as add
    from adapters.reproducing.needs import needs
    from adapters.results import Results
    from adapters.sweeping.words import numbers, typed
    from featcache.store.cache import FeatureCache

    asked = tables.named(table)
    if asked.only:
        _say_published(people, asked, as_json, bool(out or encode))
        return
    asked = replace(asked, asked_bank=text.asked(prompts))
    store = FeatureCache(cache)
    held = needs(asked, store)
    if encode:
        if lost := add(held, store.root, root):
            people.print(f"could not be encoded, as said above: {', '.join(lost)}", markup=False)
        held = needs(asked, store)
    _say_needs(people, asked, held)
    counts = numbers("shots", typed(shots), 1) if shots else []
    some = [str(name) for name in typed(method)] if method else []
    document: dict[str, Any] = {"table": asked.name, "needs": [_told(need) for need in held]}
    runs = comparing.planned(asked, held, store, on_test=on_test, methods=some, shots=counts)
    if dry_run or not runs:
        terminal.document(as_json, {**document, "runs": len(runs)})
        people.print(f"{len(runs)} runs can be done with what is cached.")
        if not dry_run:
            raise CacheError(
                f"there is nothing to run for {table}: the commands above add what is lacking, "
                "and --encode runs them."
            )
        return
    kept = Results(results)
    failed = _run(runs, kept, jobs, device)
    found = comparing.compared(asked, runs, kept.frame(), held)
    if out:
        _write(out, comparing.restated(asked, found, on_test))
    rows = [{**terminal.as_mapping(each), "difference": each.difference} for each in found]
    terminal.document(as_json, {**document, "runs": len(runs), "failed": failed, "rows": rows})
    _say(people, asked, found)
    if failed:
        raise SweepError(
            f"{failed} of {len(runs)} runs failed; `adapters results --results {results} --where "
            "status=failed` says why, and the same command tries them again."
        )


def _run(runs: Sequence[Planned], results: Results, jobs: int, device: str) -> int:
    """Do the runs that are not done yet; how many failed."""
    from adapters.sweeping import engine as engines
    from adapters.sweeping.device import device_for
    from adapters.sweeping.progress import watched
    from adapters.sweeping.sweep import left, sweep

    wanted = [each.run for each in runs]
    waiting = left(wanted, results)
    worker = engines.engine("local", jobs=jobs, device=device_for(device, waiting))
    try:
        with watched(terminal.people(True), len(waiting), worker.workers) as on_row:
            return sweep(wanted, worker, results, on_row).failed
    finally:
        worker.close()


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write published rows to a file, a line each."""
    lines = ",\n ".join(json.dumps(row) for row in rows)
    path.write_text(f"[\n {lines}\n]\n", encoding="utf-8")


def _list(people: Console, as_json: bool) -> None:
    from adapters.reproducing.tables import tables

    heads = ("table", "what", "task", "backbone", "shots", "seeds")
    rows = [
        (
            each.name, each.title, each.task, each.backbone,
            ",".join(map(str, each.shots)), ",".join(map(str, each.seeds)),
        )
        for each in tables()
    ]  # fmt: skip
    terminal.document(as_json, [dict(zip(heads, row, strict=True)) for row in rows])
    terminal.table(people, heads, rows)


def _say_published(people: Console, table: Reproduction, as_json: bool, more: bool) -> None:
    """What others reported where nothing can be run here, which is all that there is."""
    if more:
        raise ConfigError(
            f"{table.name} cannot be run here: it {table.only}. So there is nothing to encode and "
            "nothing of ours to write; leave --encode and --out away, and take --json for the "
            "published rows."
        )
    from adapters.report.published import ACCURACY

    rows = table.rows
    told = [{**row.numbers[ACCURACY], "method": row.method, "source": row.source} for row in rows]
    terminal.document(as_json, {"table": table.name, "only": table.only, "published": told})
    people.print(f"{table.name}: {table.title}", markup=False)
    people.print(f"cannot be run here: it {table.only}. Published rows only:", markup=False)
    sets = list(dict.fromkeys(name for row in rows for name in row.numbers[ACCURACY]))
    shots = table.shots[0]
    cells = [
        (row.method, row.backbone, *(_number(row.at(name, shots)) for name in sets), row.source)
        for row in rows
    ]
    terminal.table(people, ("method", "backbone", *sets, "source"), cells)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _told(need: Need) -> dict[str, Any]:
    key = need.entry.key if need.entry else None
    command = need.command if need.lacks else None
    return {"dataset": need.dataset, "entry": key, "lacks": need.lacks, "command": command}


def _say_needs(people: Console, table: Reproduction, held: Sequence[Need]) -> None:
    """What the table needs, what is there, and what to type for the rest."""
    people.print(
        f"{table.name}: {table.title} ({table.source}); {table.task}, {table.backbone}, shots "
        f"{','.join(map(str, table.shots))}, seeds {','.join(map(str, table.seeds))}",
        markup=False,
    )
    rows = [
        (
            need.dataset,
            need.entry.key if need.entry else "not cached",
            table.bank(need.dataset),
            ", ".join(need.lacks),
        )
        for need in held
    ]
    terminal.table(people, ("data set", "cached", "text", "lacks"), rows)
    for need in held:
        if need.lacks:
            people.print(f"  {need.command}", markup=False)
    for line in table.lines:
        policies = dict.fromkeys(table.row(line).policy(name) for name in table.datasets)
        chosen = f"policy of the source: {', '.join(policies)}"
        why = f"cannot be fitted here: it {line.refusal}" if line.refusal else chosen
        people.print(f"{line.published}: {why}", markup=False)


def _say(people: Console, table: Reproduction, found: Sequence[Difference]) -> None:
    """A table for each method and policy of the source, and the reasons below it."""
    if not found:
        people.print("No number yet: a published mean waits until all of its sets are cached.")
    heads = ("data set", "shots", "ours", "published", "difference", "why")
    for line in table.lines:
        mine = [each for each in found if each.method == line.published]
        for policy, theirs in dict.fromkeys((each.policy, each.theirs) for each in mine):
            own = [each for each in mine if (each.policy, each.theirs) == (policy, theirs)]
            people.print(
                f"{line.published}: ours by policy {policy}, published by {theirs}", markup=False
            )
            reasons = list(dict.fromkeys(why for each in own for why in each.reasons))
            rows = [_row(each, reasons) for each in own]
            terminal.table(people, heads, rows)
            for i, why in enumerate(reasons, start=1):
                people.print(f"  [{i}] {why}", markup=False)


def _row(each: Difference, reasons: Sequence[str]) -> tuple[str, ...]:
    name = each.dataset if each.measure == "accuracy" else f"{each.dataset}, {each.measure}"
    why = ",".join(str(reasons.index(reason) + 1) for reason in each.reasons)
    ours = f"{each.ours:.2f}" + (f" ± {each.std:.2f}" if each.std is not None else "")
    return (
        name, str(each.shots), ours, f"{each.published:.2f}",
        f"{round(each.difference, 2) + 0.0:+.2f}", why,
    )  # fmt: skip
