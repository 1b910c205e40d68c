"""The door: the two commands `featcache` and `adapters`. It parses, calls and prints."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from featcache.errors import FeatcacheError, SweepError

if TYPE_CHECKING:
    from rich.console import Console

    from featcache.cache import Entry

OPTIONS: dict[str, Any] = {
    "no_args_is_help": True,
    "add_completion": False,
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}
featcache_app = typer.Typer(help="Encode pictures and prompts once, into a cache.", **OPTIONS)
adapters_app = typer.Typer(help="Fit few-shot adapters on cached embeddings.", **OPTIONS)
plot_app = typer.Typer(help="Draw what an adapter does.", **OPTIONS)
adapters_app.add_typer(plot_app, name="plot")

Cache = Annotated[
    Path | None,
    typer.Option(envvar="FEATCACHE_HOME", help="Cache root; the platform's cache folder if unset."),
]
Root = Annotated[
    Path | None, typer.Option(envvar="FEATCACHE_DATA", help="Folder that holds the data sets.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
DatasetName = Annotated[str | None, typer.Option(help="Name of a cached data set, or a key.")]
INTERRUPTED = 130
RESULTS = Path("runs/results.sqlite")
ResultsFile = Annotated[Path, typer.Option(help="Results file.")]
BackboneName = Annotated[str | None, typer.Option(help="Backbone of the cache entry.")]


def featcache() -> None:
    """Run the `featcache` command."""
    _run(featcache_app)


def adapters() -> None:
    """Run the `adapters` command."""
    _run(adapters_app)


@featcache_app.command()
def encode(
    dataset: Annotated[str, typer.Option(help="Name (see `featcache datasets`) or folder.")],
    backbone: Annotated[str, typer.Option(help="Such as ViT-B/16, RN50, local-dir:…")] = "demo",
    pretrained: Annotated[str | None, typer.Option(help="Weights' tag or folder.")] = None,
    root: Root = None,
    split: Annotated[str | None, typer.Option(help="Such as train,val,test (all).")] = None,
    views: Annotated[int, typer.Option(min=0, help="Augmented views a training picture.")] = 20,
    views_for: Annotated[
        str, typer.Option(help="few-shot: what draws can use; or all.")
    ] = "few-shot",
    view_scale: Annotated[
        float, typer.Option(min=0.01, max=1, help="Least area of a view.")
    ] = 0.08,
    view_seed: Annotated[int, typer.Option(help="Seed of the views.")] = 1,
    prompts: Annotated[
        str | None, typer.Option(help="Prompt bank or file (own templates).")
    ] = None,
    extra: Annotated[
        str, typer.Option(help="Kept beside embeddings: pre-projection, patches, or both (none).")
    ] = "",
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 …")] = "auto",
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures a forward pass.")] = 256,
    workers: Annotated[int, typer.Option(min=0, help="Decoding threads (0: one a core).")] = 0,
    cache: Cache = None,
    shard: Annotated[str, typer.Option(help="i/N does the i-th of N parts of the work.")] = "1/1",
    allow_bad: Annotated[int, typer.Option(min=0, help="Unreadable pictures put up with.")] = 0,
    retry_bad: Annotated[bool, typer.Option(help="Read pictures again that were bad.")] = False,
    as_json: Json = False,
) -> None:
    """Encode a data set's pictures and prompts; what is cached already is left as it is.

    Example: featcache encode --dataset eurosat --root ~/data --backbone ViT-B/16
    """
    from featcache import FeatureCache, encode_dataset, load_backbone, load_dataset
    from featcache.prompts import bank
    from featcache.views import ViewRecipe

    part = _part(shard)
    _one_of("--views-for", views_for, ("few-shot", "all"))
    data = load_dataset(dataset, root)
    chosen = bank(prompts, data)
    people = _people(as_json)
    with _people(True).status(f"loading {backbone}"):
        tower = load_backbone(backbone, pretrained, device=device, precision=precision)
    recipe = ViewRecipe(views, view_seed, scale=(view_scale, 1.0), flip=data.flip)
    with _progress("crops") as progress:
        report = encode_dataset(
            data,
            tower,
            FeatureCache(cache),
            splits=split.split(",") if split else None,
            bank=chosen,
            views=recipe,
            views_for=views_for,
            extras=extra.split(",") if extra else (),
            batch_size=batch_size,
            workers=workers,
            part=part,
            retry_bad=retry_bad,
            progress=progress,
        )
    _say_encoded(people, report)
    document = {
        "key": report.entry.key,
        "encoded": report.encoded,
        "skipped": report.skipped,
        "crops": report.crops,
        "prompts": report.prompts,
        "wall_seconds": report.wall,
        "seconds": report.seconds,
        "complete": report.entry.complete,
        "bad": [{"id": i, "reason": r} for i, r in report.bad],
    }
    _document(as_json, document)
    if len(report.bad) > allow_bad:
        raise FeatcacheError(
            f"{len(report.bad)} pictures could not be read (listed above); mend them and run with "
            f"--retry-bad, or accept them with --allow-bad {len(report.bad)}."
        )


@featcache_app.command("ls")
def list_entries(cache: Cache = None, as_json: Json = False) -> None:
    """List what is cached, the newest last. Example: featcache ls"""
    from featcache.cache import FeatureCache

    store = FeatureCache(cache)
    found = store.entries()
    _document(as_json, [_entry_document(entry) for entry in found])
    people = _people(as_json)
    if not found:
        people.print(f"The cache {store.root} is empty; `featcache encode` fills it.")
        return
    rows = [
        (
            e.key,
            " ".join(f"{s}:{e.encoded(s)}" for s in e.splits),
            " ".join((*e.banks, *e.negative_banks)),
            " ".join(e.extras),
            f"{e.bytes / 1e6:.1f} MB",
            "" if e.complete else "incomplete",
        )
        for e in found
    ]
    _table(people, ("key", "rows", "prompts", "extras", "size", "state"), rows)


@featcache_app.command()
def info(key: str, cache: Cache = None, as_json: Json = False) -> None:
    """Show an entry's provenance. Example: featcache info digits"""
    from featcache.cache import FeatureCache

    entry = FeatureCache(cache).get(key)
    document = _entry_document(entry)
    _document(as_json, document)
    people = _people(as_json)
    for name, value in document.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        people.print(f"[bold]{name}[/]  ", end="")
        people.print(text, markup=False)


@featcache_app.command()
def verify(
    key: Annotated[str | None, typer.Argument(help="An entry's key; all if left out.")] = None,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Check every shard against its hash and sums. Example: featcache verify"""
    from featcache.cache import FeatureCache

    store = FeatureCache(cache)
    found = {e.key: e.problems() for e in ([store.get(key)] if key else store.entries())}
    _document(as_json, found)
    people = _people(as_json)
    for name, problems in found.items():
        people.print(f"{name}: {'sound' if not problems else ''}", markup=False)
        for problem in problems:
            people.print(f"  {problem}", markup=False)
    if any(found.values()):
        raise FeatcacheError("the cache has problems (listed above).")


@featcache_app.command()
def datasets(as_json: Json = False) -> None:
    """List the data sets known by name. Example: featcache datasets"""
    from featcache.datasets.registry import names

    found = names()
    _document(as_json, [vars_of(info) for info in found])
    rows = [(i.name, str(i.classes or ""), i.folder or "", i.description) for i in found]
    _table(_people(as_json), ("name", "classes", "folder below --root", "what"), rows)


@featcache_app.command()
def backbones(
    pattern: Annotated[str, typer.Argument(help="Part of a name.")] = "", as_json: Json = False
) -> None:
    """List the backbones known by name. Example: featcache backbones ViT-B-16"""
    from featcache.backbones import names

    every = [(name.model, name.tag or "") for name in names()]
    found = [(m, t) for m, t in every if pattern.lower().replace("/", "-") in f"{m}:{t}".lower()]
    _document(as_json, [{"model": m, "pretrained": t} for m, t in found])
    _table(_people(as_json), ("model", "pretrained"), found)


@featcache_app.command("import")
def import_files(
    files: list[Path],
    dataset: Annotated[str, typer.Option(help="Name the features shall have.")],
    backbone: Annotated[str, typer.Option(help="What they were encoded with.")],
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Take feature files (npz, safetensors) into the cache.

    Example: featcache import CLIP_RN50.npz --dataset whurs19 --backbone RN50
    """
    from featcache import FeatureCache, import_features

    entry = import_features(files, dataset, backbone, FeatureCache(cache))
    _document(as_json, _entry_document(entry))
    rows = ", ".join(f"{n} {s}" for s, n in entry.splits.items())
    _people(as_json).print(f"Imported {rows} rows of {len(entry.classnames)} classes: {entry.key}")


@featcache_app.command()
def export(
    key: str,
    out: Annotated[Path, typer.Option(help="File to write, .npz or .safetensors.")],
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Write an entry's features to one file. Example: featcache export digits --out digits.npz"""
    from featcache import FeatureCache, export_features

    entry = FeatureCache(cache).get(key)
    path = export_features(entry, out)
    _document(as_json, {"key": entry.key, "file": str(path)})
    _people(as_json).print(f"Wrote {path} from {entry.key}.", markup=False)


@adapters_app.command()
def fit(
    method: Annotated[str, typer.Option(help="See `adapters methods`.")] = "fma",
    dataset: DatasetName = None,
    backbone: BackboneName = None,
    shots: Annotated[int, typer.Option(help="Training pictures a class.")] = 16,
    seed: Annotated[int, typer.Option(help="Seed of the draw and the fit.")] = 1,
    policy: Annotated[str, typer.Option(help="Who may choose hyper-parameters.")] = "few-shot-val",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key=value, or preset=NAME; repeatable.")
    ] = None,
    bank: Annotated[str | None, typer.Option("--prompts", help="Prompt bank (the newest).")] = None,
    views: Annotated[int | None, typer.Option(min=0, help="Cached views to use (all).")] = None,
    transfer: Annotated[str | None, typer.Option(help="Data set for policy transfer.")] = None,
    cache: Cache = None,
    out: Annotated[Path, typer.Option(help="Where adapters and results go.")] = Path("runs"),
    as_json: Json = False,
) -> None:
    """Fit one method on a few-shot draw and score it on the test split.

    Example: adapters fit --method tip-adapter --dataset digits --shots 4
    """
    from adapters.configure import parse
    from adapters.registry import file, leaves
    from featcache.cache import FeatureCache

    for leaf in leaves(method):
        file(leaf)  # an unknown name is refused before torch is imported
    chosen = parse(settings or [])
    store = FeatureCache(cache)
    entry = store.find(dataset, backbone)

    from adapters.experiment import Experiment, run
    from adapters.results import Results

    source = store.find(transfer, entry.backbone) if transfer else None
    experiment = Experiment(method, shots, seed, policy, chosen, bank, views, source)
    outcome = run(entry, experiment)
    row = outcome.row
    name = Results(out / "results.sqlite").add(row)
    folder = outcome.adapter.save(out / f"{entry.dataset}-{method}-{shots}shot-seed{seed}-{name}")
    people = _people(as_json)
    people.print(
        f"[bold]{row['accuracy']:.2f} %[/] of {row['n_test']} test pictures, fitted in "
        f"{row['fit_seconds']:.2f} s"
    )
    people.print(
        f"{method} on {entry.dataset}, {entry.backbone}, {shots} shots, seed {seed}, "
        f"{row['views']} views, policy {policy} ({row['tried']} settings tried)",
        markup=False,
    )
    people.print(json.dumps(row["config"]), markup=False)
    people.print(f"saved in {folder}", markup=False)
    _document(as_json, {**row, "hyperparameters": row["config"], "adapter": str(folder)})


@adapters_app.command()
def sweep(
    grid_file: Annotated[
        Path | None, typer.Argument(metavar="[GRID.yaml]", help="The same words as the options.")
    ] = None,
    method: Annotated[str | None, typer.Option(help="Such as fma,tip-adapter; or all.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Cached data sets (the newest).")] = None,
    backbone: Annotated[str | None, typer.Option(help="Backbones of the entries.")] = None,
    shots: Annotated[str | None, typer.Option(help="Such as 1,2,4,8,16 (16).")] = None,
    seed: Annotated[str | None, typer.Option(help="Such as 1,2,3 (1).")] = None,
    policy: Annotated[str | None, typer.Option(help="Policies (few-shot-val).")] = None,
    task: Annotated[str | None, typer.Option(help="few-shot, base-to-new (few-shot).")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="fma.blocks=2,6,12; repeatable.")
    ] = None,
    prompts: Annotated[str | None, typer.Option(help="Prompt banks (the newest).")] = None,
    views: Annotated[str | None, typer.Option(help="Cached views to use (all).")] = None,
    transfer: Annotated[str | None, typer.Option(help="Data set for policy transfer.")] = None,
    search: Annotated[
        str, typer.Option(help="grid, random, or a sampler of Optuna: tpe, gp.")
    ] = "grid",
    trials: Annotated[int, typer.Option(min=1, help="Settings a method that a search tries.")] = 20,
    engine: Annotated[str, typer.Option(help="local, ray or slurm.")] = "local",
    address: Annotated[str | None, typer.Option(help="Of a Ray cluster (own, here).")] = None,
    slurm: Annotated[
        list[str] | None, typer.Option(help="partition=…, time=MINUTES, memory=GB …; repeatable.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=0, help="At once (0: one a core or GPU).")] = 0,
    device: Annotated[str, typer.Option(help="auto (cpu), cuda, cuda:1 …")] = "auto",
    shard: Annotated[str, typer.Option(help="i/N does the i-th of N parts of the grid.")] = "1/1",
    stack: Annotated[
        str, typer.Option(help="auto, on, off: train runs of one shape as one.")
    ] = "auto",
    dry_run: Annotated[bool, typer.Option(help="Check the grid and count its runs.")] = False,
    results: ResultsFile = RESULTS,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Fit every combination of methods, data, shots, seeds and settings that is not done yet.

    Example: adapters sweep --method tip-adapter,fma --shots 1,4 --seed 1,2 --set fma.blocks=2,3
    """
    part = _part(shard)
    from adapters.search import SAMPLERS, adaptive, at_random, planned

    _one_of("--search", search, ("grid", "random", *SAMPLERS))
    if search in SAMPLERS and part != (1, 1):
        raise FeatcacheError(f"--search {search} learns from every trial, so it takes no --shard.")

    from adapters import sweep as sweeps
    from adapters.configure import parse
    from adapters.engines import engine as choose
    from adapters.grid import Combine, Run, axes, every, typed, union
    from adapters.progress import watched
    from adapters.results import Results
    from adapters.stacking import STACKS
    from featcache.cache import FeatureCache

    _one_of("--stack", stack, STACKS)
    given = {
        "method": method, "dataset": dataset, "backbone": backbone, "shots": shots, "seed": seed,
        "policy": policy, "task": task, "prompts": prompts, "views": views, "transfer": transfer,
    }  # fmt: skip
    words: dict[str, Any] = {word: typed(text) for word, text in given.items() if text is not None}
    words["settings"] = axes(settings or [])
    store, kept, people = FeatureCache(cache), Results(results), _people(as_json)

    def make(combine: Combine) -> list[Run]:
        return union(store, grid_file, words, combine)

    runs: list[Run] = []
    if search in SAMPLERS:
        total, before = planned(make, search, trials, kept)
    else:
        runs = sweeps.shard(make(at_random(trials) if search == "random" else every), *part)
        waiting = sweeps.left(runs, kept)
        total, before = len(runs), len(runs) - len(waiting)
    if dry_run:
        sweeps.check(runs)
        _document(as_json, {"runs": total, "before": before})
        people.print(f"{total} runs, {before} of them done")
        return
    folder, options = results.parent / "slurm", parse(slurm or [])
    worker = choose(engine, jobs, device, address=address, folder=folder, slurm=options)
    best: list[Any] = []
    try:
        with watched(_people(True), total - before, worker.workers) as on_row:
            if search in SAMPLERS:
                summary, best = adaptive(make, search, trials, worker, kept, on_row, stack)
            else:
                summary = sweeps.sweep(runs, worker, kept, on_row, stack)
    finally:
        worker.close()
    found = [vars_of(each) for each in best]
    _document(as_json, {**vars_of(summary), "best": found, "results": str(results)})
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
            f"{results} --where status=failed` says why, and the same sweep tries them again."
        )


@adapters_app.command("results")
def list_results(
    where: Annotated[
        list[str] | None, typer.Option(help="column=value[,value]; repeatable.")
    ] = None,
    form: Annotated[
        str, typer.Option("--format", help="table, csv, json, latex or markdown.")
    ] = "table",
    out: Annotated[
        Path | None, typer.Option(help="Write .csv, .parquet, .json, .tex or .md instead.")
    ] = None,
    results: Annotated[list[Path] | None, typer.Option(help="Results files; repeatable.")] = None,
    as_json: Json = False,
) -> None:
    """Show or write the rows of results files. Example: adapters results --where method=fma"""
    from adapters.results import FORMATS, brief, cell, read, text, write

    _one_of("--format", form, FORMATS)
    found = read(results or [RESULTS], where or [])
    if out:
        _people(as_json).print(f"Wrote {len(found)} rows to {write(found, out)}.", markup=False)
        _document(as_json, {"rows": len(found), "file": str(out)})
    elif as_json or form != "table":
        print(text(found, "json" if as_json else form), end="")
    else:
        seen = brief(found)
        heads = [str(name) for name in seen.columns]
        rows = [[cell(value) for value in row] for row in seen.itertuples(index=False)]
        _table(_people(False), heads, rows)


@adapters_app.command()
def predict(
    adapter: Annotated[Path, typer.Argument(help="Folder that `adapters fit` printed.")],
    images: Annotated[list[Path], typer.Argument(help="Pictures to classify.")],
    device: Annotated[str, typer.Option(help="auto, cpu, cuda …")] = "auto",
    top: Annotated[int, typer.Option(min=1, help="Classes to show a picture.")] = 3,
    as_json: Json = False,
) -> None:
    """Classify pictures with a saved adapter. Example: adapters predict runs/… cat.jpg"""
    import torch

    from adapters.adapter import load
    from adapters.episode import Query
    from featcache import embed_with, load_backbone
    from featcache.cache import EMBEDDING, EXTRAS

    fitted = load(adapter)
    people = _people(as_json)
    with _people(True).status(f"loading {fitted.about['backbone']}"):
        tower = load_backbone(fitted.about["backbone"], device=device)
    known = fitted.about["fingerprint"]
    if known not in ("unknown", tower.fingerprint):
        raise FeatcacheError(
            f"the weights of {tower.name} are not those that {adapter} was fitted on; use the "
            "same weights, or encode and fit again."
        )
    # Embedding, pre-projection and patches, in this order; what was not asked for is None.
    found = embed_with(tower, images, fitted.extras)
    x, *extras = (torch.from_numpy(found[n]) if n in found else None for n in (EMBEDDING, *EXTRAS))
    scores = fitted.logits(Query(x, *extras)).softmax(1)
    best = scores.topk(min(top, len(fitted.classnames)))
    document = [
        {"image": str(path), "classes": [fitted.classnames[i] for i in index], "scores": values}
        for path, index, values in zip(
            images, best.indices.tolist(), best.values.tolist(), strict=True
        )
    ]
    _document(as_json, document)
    for line in document:
        guesses = zip(line["classes"], line["scores"], strict=True)
        text = ", ".join(f"{name} {100 * score:.1f} %" for name, score in guesses)
        people.print(f"{line['image']}: {text}", markup=False)


@adapters_app.command()
def evaluate(
    adapter: Annotated[Path, typer.Argument(help="Folder that `adapters fit` printed.")],
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Score a saved adapter on the test split beside its draw. Example: adapters evaluate runs/…"""
    from adapters.adapter import load
    from adapters.episode import draw
    from adapters.evaluate import accuracy, class_accuracy
    from featcache.cache import FeatureCache

    fitted = load(adapter)
    about = fitted.about
    entry = FeatureCache(cache).get(about["entry"])
    test = draw(
        entry, about["shots"], about["seed"], bank=about["bank"], views=0, extras=fitted.extras
    ).test
    logits = fitted.logits(test.query)
    score, classes = accuracy(logits, test.labels), class_accuracy(logits, test.labels).tolist()
    by_class = dict(zip(fitted.classnames, classes, strict=True))
    document = {"method": fitted.method, **about, "accuracy": score, "n_test": len(test.labels)}
    _document(as_json, {**document, "by_class": by_class})
    people = _people(as_json)
    people.print(f"[bold]{score:.2f} %[/] of {len(test.labels)} test pictures of {entry.key}")
    _table(people, ("class", "accuracy"), [(n, f"{a:.1f} %") for n, a in by_class.items()])


@adapters_app.command()
def report(
    results: Annotated[Path, typer.Option(help="Results file.")] = Path("runs/results.sqlite"),
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("report"),
    baseline: Annotated[
        str | None, typer.Option(help="Method to compare with (zero-shot if it was run).")
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option(help="column=value[,value] of rows to use; repeatable.")
    ] = None,
    run: Annotated[
        str | None, typer.Option(help="Id of the run to show class by class (the best).")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Methods a figure shows.")] = 8,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Write a page, figures and tables of the results so far.

    Example: adapters report --where dataset=digits --baseline tip-adapter
    """
    from adapters.report.build import report as write_report
    from adapters.report.rows import read
    from featcache.cache import FeatureCache

    runs = read(results, where or [])
    store = FeatureCache(cache)
    page = write_report(runs, out, results.name, baseline=baseline, run=run, top=top, cache=store)
    counts = {"runs": len(runs.done), "failed": len(runs.failed), "superseded": runs.superseded}
    _document(as_json, {"page": str(page), **counts})
    _people(as_json).print(
        f"Wrote {page} from {counts['runs']} runs ({counts['failed']} failed); its figures and "
        "tables lie beside it.",
        markup=False,
    )


@plot_app.command()
def flow(
    adapter: Annotated[Path, typer.Argument(help="Folder that `adapters fit` printed.")],
    out: Annotated[
        Path | None, typer.Option(help="File to write: .png, .svg, .pdf or .html (flow.png).")
    ] = None,
    pictures: Annotated[int, typer.Option(min=1, help="Test pictures whose way is drawn.")] = 150,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Draw the ways of pictures or prototypes through an adapter's flow.

    Example: adapters plot flow runs/ADAPTER --out flow.svg
    """
    from adapters.adapter import load
    from adapters.report.flow import draw_flow, write_flow
    from featcache.cache import FeatureCache

    fitted = load(adapter)
    drawn = draw_flow(fitted, FeatureCache(cache).get(fitted.about["entry"]), pictures)
    path = out or adapter / "flow.png"
    write_flow(drawn, path)
    _document(
        as_json, {"file": str(path), "explained": drawn.explained, "accuracy": drawn.accuracy}
    )
    _people(as_json).print(f"Wrote {path}. {drawn.text}", markup=False)


@adapters_app.command()
def methods(
    name: Annotated[str | None, typer.Argument(help="One method, with its settings.")] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Also those that cannot run on cached embeddings.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the methods, or one method's settings. Example: adapters methods fma"""
    from adapters import registry, unavailable

    people = _people(as_json)
    if name is None:
        found = [(each, registry.summary(each)) for each in registry.names()]
        others = unavailable.METHODS if every else {}
        documents = [{"name": n, "summary": s} for n, s in found]
        _document(as_json, documents + [{"name": n, **vars_of(m)} for n, m in others.items()])
        _table(people, ("method", "what"), found)
        if every:
            rows = [(n, m.title, m.reason, unavailable.numbers(m)) for n, m in others.items()]
            _table(people, ("not here", "what", "because it", "reported elsewhere"), rows)
        return
    line = registry.summary(name)

    from adapters.configure import settings

    method = registry.get(name)
    rows = [vars_of(setting) for setting in settings(method)]
    presets = {key: dict(value) for key, value in method.presets.items()}
    _document(as_json, {"name": name, "summary": line, "settings": rows, "presets": presets})
    people.print(line, markup=False)
    _table(
        people,
        ("setting", "default", "what"),
        [(r["name"], str(r["default"]), r["description"]) for r in rows],
    )
    for preset, overrides in presets.items():
        people.print(f"preset={preset}: {json.dumps(overrides)}", markup=False)


def _run(app: typer.Typer) -> None:
    try:
        app()
    except FeatcacheError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except (KeyboardInterrupt, SystemExit) as end:
        # Typer itself turns Ctrl-C into status 130, without a word.
        if isinstance(end, SystemExit) and end.code != INTERRUPTED:
            raise
        print("stopped; run the same command again to go on.", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)


def vars_of(record: Any) -> dict[str, Any]:
    """A dataclass as a mapping."""
    from dataclasses import asdict

    return asdict(record)


def _people(as_json: bool) -> Console:
    from rich.console import Console

    return Console(stderr=as_json, highlight=False, soft_wrap=True)


def _document(as_json: bool, document: Any) -> None:
    if as_json:
        print(json.dumps(document, ensure_ascii=False, default=str))


def _table(people: Console, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.table import Table

    told = [i for i in range(len(heads)) if i == 0 or any(row[i] for row in rows)]
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for i in told:
        # What people copy, the name in the first column, stays in one piece.
        table.add_column(heads[i], overflow="fold", no_wrap=i == 0)
    for row in rows:
        table.add_row(*(row[i].replace("[", "\\[") for i in told))
    people.print(table, soft_wrap=False)


@contextmanager
def _progress(unit: str) -> Iterator[Any]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("encoding"),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TextColumn(f"{unit} {{task.fields[rate]}}"),
        TimeRemainingColumn(),
    )
    console = _people(True)
    # A log file wants no bar, and the summary that follows says it all.
    quiet = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=quiet) as bar:
        task = bar.add_task("", total=None, rate="")

        def update(done: int, total: int) -> None:
            speed = bar.tasks[task].speed
            bar.update(task, completed=done, total=total, rate=f"{speed:.0f}/s" if speed else "")

        yield update


def _say_encoded(people: Console, report: Any) -> None:
    entry: Entry = report.entry
    if report.crops:
        stages = ", ".join(f"{name} {value:.1f}" for name, value in report.seconds.items())
        people.print(
            f"Encoded {report.encoded} pictures ({report.crops} crops) and {report.prompts} "
            f"prompts in {report.wall:.1f} s, {report.crops / report.wall:.0f} crops/s; "
            f"seconds by stage: {stages}."
        )
    else:
        prompts = f"Encoded {report.prompts} prompts" if report.prompts else "Nothing to encode"
        people.print(f"{prompts}: all {report.skipped} pictures asked for are cached.")
    for picture, reason in report.bad:
        people.print(f"bad picture {picture}: {reason}", markup=False)
    people.print(entry.key, markup=False)


def _entry_document(entry: Entry) -> dict[str, Any]:
    manifest = entry.manifest
    skipped = ("shards", "format")
    rest = {name: value for name, value in manifest.items() if name not in skipped}
    return {
        "key": entry.key,
        "complete": entry.complete,
        "encoded": {split: entry.encoded(split) for split in entry.splits},
        "bytes": entry.bytes,
        "bad": entry.bad,
        **rest,
    }


def _part(text: str) -> tuple[int, int]:
    first, slash, last = text.partition("/")
    if not (slash and first.isdigit() and last.isdigit()):
        raise FeatcacheError(f"--shard takes i/N such as 2/4, got {text!r}.")
    return int(first), int(last)


def _one_of(option: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise FeatcacheError(f"{option} takes {' or '.join(allowed)}, got {value!r}.")


if __name__ == "__main__":
    featcache()
