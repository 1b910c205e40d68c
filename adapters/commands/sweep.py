"""`adapters sweep`: many experiments, each once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adapters.commands import completion
from adapters.commands.options import RESULTS, Device, On, Text, Transfer
from featcache import terminal
from featcache.errors import ConfigError, SweepError
from featcache.terminal import Cache, Json

if TYPE_CHECKING:
    from adapters.sweeping.plan import Plan
    from adapters.sweeping.search import Best
    from adapters.sweeping.sweep import Summary


def sweep(
    grid_file: Annotated[
        Path | None, typer.Argument(metavar="[GRID.yaml]", help="The same words as the options.")
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(help="Such as fma,tip-adapter; or all.", autocompletion=completion.methods),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help="Cached data sets (the newest).", autocompletion=completion.datasets),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(help="Backbones of the entries.", autocompletion=completion.backbones),
    ] = None,
    shots: Annotated[str | None, typer.Option(help="Such as 1,2,4,8,16 or all (16).")] = None,
    kind: Annotated[
        str | None, typer.Option("--draw", help="balanced, natural, files of ids (balanced).")
    ] = None,
    seed: Annotated[str | None, typer.Option(help="Such as 1,2,3 (1).")] = None,
    policy: Annotated[
        str | None,
        typer.Option(help="Policies (few-shot-val).", autocompletion=completion.policies),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(help="few-shot, cross-dataset … (few-shot).", autocompletion=completion.tasks),
    ] = None,
    on: On = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="fma.blocks=2,6,12; repeatable.", autocompletion=completion.settings
        ),
    ] = None,
    prompts: Annotated[
        str | None,
        typer.Option(help="Prompt banks (the newest).", autocompletion=completion.banks),
    ] = None,
    text: Text = None,
    views: Annotated[str | None, typer.Option(help="Cached views to use (all).")] = None,
    transfer: Transfer = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Rows tell of calibrated probabilities too.")
    ] = False,
    search: Annotated[
        str, typer.Option(help="grid, random, or a sampler of Optuna: tpe, gp.")
    ] = "grid",
    trials: Annotated[
        int | None, typer.Option(min=1, help="Settings a method that a search tries (20).")
    ] = None,
    engine: Annotated[
        str, typer.Option(help="local, ray or slurm.", autocompletion=completion.engines)
    ] = "local",
    address: Annotated[str | None, typer.Option(help="Of a Ray cluster (own, here).")] = None,
    slurm: Annotated[
        list[str] | None, typer.Option(help="partition=…, time=MINUTES, memory=GB …; repeatable.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=0, help="At once (0: one a core, or a GPU).")] = 0,
    device: Device = "auto",
    shard: Annotated[str, typer.Option(help="i/N does the i-th of N parts of the grid.")] = "1/1",
    stack: Annotated[
        str, typer.Option(help="auto, on, off: train runs of one shape as one.")
    ] = "auto",
    dry_run: Annotated[bool, typer.Option(help="Check the grid and count its runs.")] = False,
    results: Annotated[Path, typer.Option(help="Results file.")] = RESULTS,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Fit every combination of methods, data, shots, seeds and settings that is not done yet.

    Example: adapters sweep --method tip-adapter,fma --shots 1,4 --seed 1,2 --set fma.blocks=2,3
    """
    part = terminal.part(shard)

    from adapters.results import Results
    from adapters.sweeping import engine as engines
    from adapters.sweeping.device import device_for
    from adapters.sweeping.plan import plan
    from adapters.sweeping.progress import watched
    from adapters.sweeping.search import SEARCHES, Search
    from adapters.sweeping.stacking import STACKS
    from adapters.sweeping.words import axes, typed
    from featcache.engines.options import slurm_words
    from featcache.store.cache import FeatureCache

    terminal.one_of("--search", search, SEARCHES)
    terminal.one_of("--stack", stack, STACKS)
    if trials is not None and search == "grid":
        raise ConfigError("--trials counts settings of a search; add --search random or tpe.")
    given = {
        "method": method, "dataset": dataset, "backbone": backbone, "shots": shots, "seed": seed,
        "policy": policy, "draw": kind, "task": task, "on": on, "prompts": prompts, "text": text,
        "views": views, "transfer": transfer,
    }  # fmt: skip
    words: dict[str, Any] = {word: typed(text) for word, text in given.items() if text is not None}
    words["settings"] = axes(settings or [])
    planned = plan(
        FeatureCache(cache),
        words,
        Results(results),
        grid_file=grid_file,
        search=Search(search, trials or Search.trials),
        part=part,
        calibrate=calibrate,
    )
    out = _left_out(planned, as_json)
    if dry_run:
        planned.check()
        counts = {"runs": planned.total, "before": planned.before}
        terminal.document(as_json, {**counts, "left_out": out})
        terminal.people(as_json).print(f"{planned.total} runs, {planned.before} of them done")
        return
    worker = engines.engine(
        engine,
        jobs=jobs,
        device=device_for(device, planned.runs, stack),
        address=address,
        folder=results.parent / "slurm",
        slurm=slurm_words(slurm or []),
    )
    waiting = planned.total - planned.before
    try:
        with watched(terminal.people(True), waiting, worker.workers) as on_row:
            summary, best = planned.carry_out(worker, on_row, stack)
    finally:
        worker.close()
    _say(summary, best, results, as_json)


def _left_out(planned: Plan, as_json: bool) -> dict[str, list[str]]:
    """Say which methods `all` leaves out and why; they by task, and by entry."""
    from adapters.ability import why_not

    people = terminal.people(as_json)
    for task, out in planned.left_out.items():
        people.print(f"{task} leaves out {', '.join(out)}: {why_not(task)}.", markup=False)
    for key, lacks in planned.lacking.items():
        for why in dict.fromkeys(lacks.values()):
            some = ", ".join(name for name, own in lacks.items() if own == why)
            people.print(f"all leaves out {some} on {key}: {why}.", markup=False)
    every = {**planned.left_out, **planned.lacking}
    return {where: [*out] for where, out in every.items()}


def _say(summary: Summary, best: list[Best], results: Path, as_json: bool) -> None:
    found = [terminal.as_mapping(each) for each in best]
    document = {**terminal.as_mapping(summary), "best": found, "results": str(results)}
    terminal.document(as_json, document)
    people = terminal.people(as_json)
    people.print(
        f"{summary.runs} runs: {summary.before} were done before, {summary.done} done now in "
        f"{summary.seconds:.1f} s, {summary.failed} failed; rows in {results}"
    )
    for each in best:
        people.print(
            f"best of {each.trials} trials of {each.method}: {json.dumps(each.settings)}, "
            f"validation {each.value:.4g}",
            markup=False,
        )
    if summary.failed:
        raise SweepError(
            f"{summary.failed} of {summary.runs} runs failed; `adapters results --results "
            f"{results} --where status=failed` says why of those that were never done, and the "
            f"same sweep tries them again. The first: {summary.why}"
        )
