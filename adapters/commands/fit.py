"""`adapters fit`: one method on one draw."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adapters.commands import completion
from adapters.commands.options import RESULTS, Transfer
from featcache import terminal
from featcache.draws import KINDS
from featcache.errors import CacheError, ConfigError
from featcache.terminal import Cache, Json

if TYPE_CHECKING:
    from rich.console import Console

    from adapters.fitting import Outcome


def fit(
    method: Annotated[
        str, typer.Option(help="See `adapters methods`.", autocompletion=completion.method)
    ] = "fma",
    dataset: Annotated[
        str | None,
        typer.Option(
            help="Name of a cached data set, or a key.", autocompletion=completion.dataset
        ),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(help="Backbone of the cache entry.", autocompletion=completion.backbone),
    ] = None,
    shots: Annotated[str, typer.Option(help="Training pictures a class; or all.")] = "16",
    kind: Annotated[
        str, typer.Option("--draw", help="balanced: K a class; natural: as classes occur.")
    ] = "balanced",
    seed: Annotated[int, typer.Option(help="Seed of the draw and the fit.")] = 1,
    policy: Annotated[
        str,
        typer.Option(help="Who may choose hyper-parameters.", autocompletion=completion.policy),
    ] = "few-shot-val",
    task: Annotated[
        str, typer.Option(help="few-shot, base-to-new.", autocompletion=completion.task)
    ] = "few-shot",
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="key=value, or preset=NAME; repeatable.",
            autocompletion=completion.settings,
        ),
    ] = None,
    bank: Annotated[
        str | None,
        typer.Option(
            "--prompts", help="Prompt bank (the newest).", autocompletion=completion.banks
        ),
    ] = None,
    views: Annotated[int | None, typer.Option(min=0, help="Cached views to use (all).")] = None,
    transfer: Transfer = None,
    cache: Cache = None,
    out: Annotated[Path, typer.Option(help="Folder that adapters go to.")] = RESULTS.parent,
    results: Annotated[
        Path | None, typer.Option(help="Results file (results.sqlite in --out).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Fit one method on a few-shot draw and score it on the test split.

    Example: adapters fit --method tip-adapter --dataset digits --shots 4
    """
    from adapters import registry
    from adapters.expression import leaves
    from featcache.store.cache import FeatureCache

    for leaf in leaves(method):
        registry.file(leaf)  # an unknown name is refused before torch is imported
    registry.task_file(task)
    store = FeatureCache(cache)
    from adapters.configure import parse

    chosen = parse(settings or [])
    entry = store.find(dataset, backbone)

    from adapters.experiment import Experiment
    from adapters.fitting import run
    from adapters.results import Results
    from adapters.sweeping.words import some_shots, typed

    terminal.one_of("--draw", kind, KINDS)
    counts = some_shots(typed(shots))
    if len(counts) != 1:
        raise ConfigError(f"--shots takes one number here, got {shots}; sweep takes several.")
    source = store.find(transfer, entry.backbone) if transfer else None
    words = Experiment(method, counts[0], seed, policy, chosen, bank, views, source, task, kind)
    rows = Results(results or out / RESULTS.name)
    rows.check_writable()  # before anything is fitted in vain
    outcome = run(entry, words)
    run_id = rows.add(*outcome.rows)
    people = terminal.people(as_json)
    _say(people, method, outcome)
    name = f"{entry.dataset}-{method}-{shots}shot-seed{seed}-{run_id}"
    try:
        folder = outcome.adapter.save(out / name)
    except CacheError as error:
        raise CacheError(f"{error} The row of run {run_id} is kept in {rows.path}.") from error
    people.print(f"saved in {folder}", markup=False)
    row = outcome.row
    more = {"hyperparameters": row["config"], "adapter": str(folder)}
    if len(outcome.rows) > 1:
        more["targets"] = {each["target"]: each["accuracy"] for each in outcome.rows}
    terminal.document(as_json, {**row, **more})


def _fell_short(row: Mapping[str, Any]) -> str:
    """What is to be said of a draw that is not K pictures of every class."""
    said = "" if row["draw"] == "balanced" else f" ({row['draw']})"
    if short := row["short_classes"]:
        said += f" ({short} classes have {'fewer' if row['draw'] == 'balanced' else 'none'})"
    return said


def _say(people: Console, method: str, outcome: Outcome) -> None:
    row = outcome.row
    for each in outcome.rows:
        of = "" if each["target"] == each["dataset"] else f" of the {each['target']} classes"
        fitted = f", fitted in {row['fit_seconds']:.2f} s" if each is row else ""
        people.print(
            f"[bold]{each['accuracy']:.2f} %[/] of {each['n_test']} test pictures{of}{fitted}"
        )
    if row.get("harmonic_mean") is not None:
        people.print(f"[bold]{row['harmonic_mean']:.2f} %[/] harmonic mean")
    people.print(
        f"{method} on {row['dataset']}, {row['backbone']}, {row['shots']} shots{_fell_short(row)}, "
        f"seed {row['seed']}, {row['views']} views, policy {row['policy']} "
        f"({row['tried']} settings tried)",
        markup=False,
    )
    people.print(json.dumps(row["config"]), markup=False)
