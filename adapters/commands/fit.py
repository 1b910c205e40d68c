"""`adapters fit`: one method on one draw."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adapters.commands import completion
from adapters.commands.options import RESULTS, Device, On, Text, Transfer
from adapters.watching.waiting import waiting
from featcache import drawn, terminal
from featcache.draws import ALL, KINDS, Shots
from featcache.errors import CacheError, ConfigError
from featcache.terminal import Cache, Json

if TYPE_CHECKING:
    from rich.console import Console

    from adapters.fitting import Outcome
    from adapters.scoring import Row

# What the targets of a task add up to, by the columns of their rows.
SUMMARIES = {"harmonic_mean": "harmonic mean", "target_mean": "mean of the targets"}


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
    shots: Annotated[
        str | None, typer.Option(help="Training pictures a class; or all (16).")
    ] = None,
    kind: Annotated[
        str,
        typer.Option("--draw", help="balanced: K a class; natural: as classes occur; or a file."),
    ] = "balanced",
    seed: Annotated[int, typer.Option(help="Seed of the draw and the fit.")] = 1,
    policy: Annotated[
        str | None,
        typer.Option(
            help="Who may choose hyper-parameters (few-shot-val).", autocompletion=completion.policy
        ),
    ] = None,
    task: Annotated[
        str, typer.Option(help="few-shot, cross-dataset …", autocompletion=completion.task)
    ] = "few-shot",
    on: On = None,
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
    text: Text = None,
    views: Annotated[int | None, typer.Option(min=0, help="Cached views to use (all).")] = None,
    transfer: Transfer = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Keep a temperature, for probabilities that hold.")
    ] = False,
    device: Device = "auto",
    cache: Cache = None,
    out: Annotated[Path, typer.Option(help="Folder that adapters go to.")] = RESULTS.parent,
    results: Annotated[
        Path | None, typer.Option(help="Results file (results.sqlite in --out).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Fit one method on a few-shot draw and score it on the test split, or on other sets.

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

    from adapters.ability import usual
    from adapters.experiment import Experiment
    from adapters.fitting import run
    from adapters.results import Results
    from adapters.sweeping.words import some_shots, typed
    from adapters.targets import find

    kind = drawn.way(kind)
    # Of a file all that it lists.
    counts: list[Shots | None] = [ALL]
    if kind in KINDS:
        counts = [*some_shots(typed(shots))] if shots else [None]
    if len(counts) != 1:
        raise ConfigError(f"--shots takes one number here, got {shots}; sweep takes several.")
    count, by = usual(task, counts[0], policy)
    source = store.find(transfer, entry.backbone) if transfer else None
    others = find(store, entry, task, [str(name) for name in typed(on)] if on else None)
    words = Experiment(
        method, count, seed, by, chosen, bank, views, source, task, kind, others, text
    )
    rows = Results(results or out / RESULTS.name)
    rows.check_writable()  # before anything is fitted in vain
    with waiting():
        outcome = run(entry, words, device=device, calibrate=calibrate)
    run_id = rows.add(*outcome.rows) if outcome.rows else outcome.run
    people = terminal.people(as_json)
    _say(people, method, outcome)
    if outcome.kept is None:
        people.print(f"an adapter a problem, none of them kept; rows in {rows.path}", markup=False)
        terminal.document(as_json, {**outcome.row, **_more(outcome)})
        return
    name = f"{entry.dataset}-{method}-{count}shot-seed{seed}-{run_id}"
    try:
        folder = outcome.adapter.save(out / name)
    except CacheError as error:
        kept = f" The row of run {run_id} is kept in {rows.path}." if outcome.rows else ""
        raise CacheError(f"{error}{kept}") from error
    people.print(f"saved in {folder}", markup=False)
    first = outcome.rows[0] if outcome.rows else outcome.told
    terminal.document(as_json, {**first, **_more(outcome), "adapter": str(folder)})


def _more(outcome: Outcome) -> dict[str, Any]:
    """What a document says beside the first row."""
    more: dict[str, Any] = {"hyperparameters": outcome.told["config"]}
    if len(outcome.rows) > 1:
        more["targets"] = {each["target"]: each["accuracy"] for each in outcome.rows}
    if any(each.get("strict_accuracy") is not None for each in outcome.rows):
        more["strict"] = {each["target"]: each["strict_accuracy"] for each in outcome.rows}
    return more


def _fell_short(row: Mapping[str, Any]) -> str:
    """What is to be said of a draw that is not K pictures of every class."""
    said = "" if row["draw"] == "balanced" else f" ({row['draw']})"
    if short := row["short_classes"]:
        said += f" ({short} classes have {'fewer' if row['draw'] == 'balanced' else 'none'})"
    return said


def _say(people: Console, method: str, outcome: Outcome) -> None:
    told = outcome.told
    fitted = f", fitted in {told['fit_seconds']:.2f} s"
    for place, each in enumerate(outcome.rows):
        people.print(
            f"[bold]{each['accuracy']:.2f} %[/]{_error(each)} of {each['n_test']} test pictures"
            f"{_of(each)}{'' if place else fitted}"
        )
    if not outcome.rows:
        people.print(
            f"fitted{fitted.removeprefix(', fitted')}; {told['dataset']} has no test split, so "
            "there is no row: ask the adapter of another set with `adapters evaluate --dataset`.",
            markup=False,
        )
    for name, what in SUMMARIES.items():
        if told.get(name) is not None:
            people.print(f"[bold]{told[name]:.2f} %[/] {what}")
    people.print(
        f"{method} on {told['dataset']}, {told['backbone']}, {told['shots']} shots"
        f"{_fell_short(told)}, seed {told['seed']}, {told['views']} views, policy "
        f"{told['policy']} ({told['tried']} settings tried)",
        markup=False,
    )
    if told.get("reason"):
        people.print(told["reason"], markup=False)
    people.print(json.dumps(told["config"]), markup=False)


def _error(row: Row) -> str:
    """The standard error over problems, where there are any."""
    error = row.get("standard_error")
    return "" if error is None else f" ± {error:.2f}"


def _of(row: Row) -> str:
    """Of which target, where that is not the data set itself among all its classes."""
    if row["target"] == row["dataset"]:
        return ""
    if "standard_error" in row:
        return f" of {row['target']}"
    if row["target_entry"] is None:
        return f" of the {row['target']} classes"
    strict = row["strict_accuracy"]
    if strict is None or strict == row["accuracy"]:
        return f" of {row['target']}"
    return f" of {row['target']} ({strict:.2f} % among all classes of {row['dataset']})"
