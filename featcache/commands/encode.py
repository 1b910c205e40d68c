"""`featcache encode`: the command alone; the pipeline is `featcache.encoding`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from featcache.commands import completion
from featcache.commands.options import FollowLinks, Layout, MaxPixels, Recursive, Root
from featcache.datasets import presence
from featcache.datasets.checks import few
from featcache.engines.options import LOCAL, EngineOptions, slurm_words
from featcache.errors import FeatcacheError
from featcache.terminal import Cache, Json, document, one_of, part, people, progress

WHOLE = "1/1"
MOST_BAD, MOST_REASONS = 10, 6  # lines of bad pictures, and of reasons where there are more

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from featcache.backbones.backbone import Backbone
    from featcache.datasets.dataset import Dataset
    from featcache.encoding.order import Order
    from featcache.encoding.report import Report
    from featcache.encoding.spreading import Engine
    from featcache.prompts import PromptBank


def encode(
    dataset: Annotated[
        str,
        typer.Option(
            help="Name (see `featcache datasets`), folder, table or shards.",
            autocompletion=completion.datasets,
        ),
    ],
    backbone: Annotated[
        list[str] | None,
        typer.Option(
            help="Such as ViT-B/16, RN50, local-dir:… (demo); several are given one by one.",
            autocompletion=completion.backbones,
        ),
    ] = None,
    pretrained: Annotated[str | None, typer.Option(help="Weights' tag or folder.")] = None,
    root: Root = None,
    name: Annotated[
        str | None, typer.Option(help="What a folder's data set is called (as the folder).")
    ] = None,
    classes: Annotated[
        str,
        typer.Option(
            help="all, or present: those whose pictures are there.",
            autocompletion=completion.classes,
        ),
    ] = presence.ALL,
    layout: Layout = "auto",
    recursive: Recursive = False,
    follow_links: FollowLinks = False,
    max_pixels: MaxPixels = 64,
    split: Annotated[
        str | None,
        typer.Option(help="Such as train,val,test (all).", autocompletion=completion.splits),
    ] = None,
    views: Annotated[int, typer.Option(min=0, help="Augmented views a training picture.")] = 20,
    views_for: Annotated[
        str,
        typer.Option(
            help="few-shot: what draws can use; or all.", autocompletion=completion.views_for
        ),
    ] = "few-shot",
    view_scale: Annotated[
        float, typer.Option(min=0.01, max=1, help="Least area of a view.")
    ] = 0.08,
    view_seed: Annotated[int, typer.Option(help="Seed of the views.")] = 1,
    no_mirror: Annotated[bool, typer.Option("--no-mirror", help="Mirror no views.")] = False,
    prompts: Annotated[
        str | None,
        typer.Option(help="Prompt bank or file (own templates).", autocompletion=completion.banks),
    ] = None,
    extra: Annotated[
        str,
        typer.Option(
            help="Kept beside embeddings: pre-projection, patches, text-tower (none).",
            autocompletion=completion.extras,
        ),
    ] = "",
    precision: Annotated[
        str,
        typer.Option(help="auto, fp32, bf16 or fp16.", autocompletion=completion.precisions),
    ] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 …")] = "auto",
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Pictures at once (what fits device and model).")
    ] = None,
    compiled: Annotated[
        bool | None,
        typer.Option("--compile/--no-compile", help="Compile the image tower (RN50 on CUDA)."),
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="Decoders (0: one a core).")] = 0,
    decode_in: Annotated[
        str,
        typer.Option(
            help="auto, threads, processes, or card (other features).",
            autocompletion=completion.decode_in,
        ),
    ] = "auto",
    cache: Cache = None,
    shard: Annotated[str, typer.Option(help="i/N does the i-th of N parts of the work.")] = WHOLE,
    engine: Annotated[
        str, typer.Option(help="local, ray or slurm.", autocompletion=completion.engines)
    ] = LOCAL,
    address: Annotated[str | None, typer.Option(help="Of a Ray cluster (own, here).")] = None,
    slurm: Annotated[
        list[str] | None, typer.Option(help="partition=…, time=MINUTES, memory=GB …; repeatable.")
    ] = None,
    jobs: Annotated[
        int, typer.Option(min=0, help="Parts at once of ray (0: one a GPU or node), slurm (0: 8).")
    ] = 0,
    allow_bad: Annotated[int, typer.Option(min=0, help="Unreadable pictures put up with.")] = 0,
    retry_bad: Annotated[bool, typer.Option(help="Read pictures again that were bad.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Hash every picture, whatever its file's times say.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Encode a data set's pictures and prompts; what is cached already is left as it is.

    Example: featcache encode --dataset eurosat --root ~/data --backbone ViT-B/16
    """
    from featcache import FeatureCache, ViewRecipe
    from featcache.encoding.encode import Request
    from featcache.encoding.order import Order, read
    from featcache.encoding.report import Report
    from featcache.encoding.running import Decoding

    which = part(shard)
    one_of("--views-for", views_for, completion.VIEWS_FOR)
    one_of("--decode-in", decode_in, completion.DECODE_IN)
    one_of("--classes", classes, completion.CLASSES)
    reading = {
        "root": root, "recursive": recursive, "follow_links": follow_links, "name": name,
        "classes": classes, "layout": layout,
    }  # fmt: skip
    order = Order(
        dataset,
        FeatureCache(cache).root.absolute(),
        backbones=tuple(dict.fromkeys(backbone or ["demo"])),
        pretrained=pretrained,
        device=device,
        precision=precision,
        prompts=prompts,
        reading=reading,
        max_pixels=round(max_pixels * 10**6),
        request=Request(
            splits=split.split(",") if split else None,
            views=ViewRecipe(views, view_seed, scale=(view_scale, 1.0), flip=not no_mirror),
            views_for=views_for,
            extras=extra.split(",") if extra else (),
            batch_size=batch_size,
            compiled=compiled,
            part=which,
            retry_bad=retry_bad,
            check=check,
        ),
        decoding=Decoding(workers, decode_in),
    )
    engines = EngineOptions(engine, jobs, device, address, slurm=slurm_words(slurm or []))
    working = _working(engines, shard)
    found = read(order)
    for note in (note for each in found for x in each for note in x.notes):
        people(True).print(f"note: {note}", markup=False)
    documents, failed, bad = list[dict[str, Any]](), list[Exception](), set[tuple[str, str]]()
    for (data, bank), reports in zip(found, _done(order, found, working), strict=False):
        notes = [*data.notes, *bank.notes]
        documents += [_told(each, notes, as_json) for each in reports if isinstance(each, Report)]
        for each in reports:
            if isinstance(each, Exception):
                failed.append(each)
            else:  # a picture is one, however many backbones cannot have it
                bad |= {(data.name, picture) for picture, _ in each.bad}
        if failed:
            break
    _shown(as_json, documents, "domains" if len(found) > 1 else "backbones", len(order.backbones))
    _refuse(failed, len(bad), allow_bad)


def _working(options: EngineOptions, shard: str) -> Engine | None:
    """What does the parts of the work; None where it is done in this process."""
    if options.name != LOCAL:
        from featcache.encoding import spreading

        if shard != WHOLE:
            raise FeatcacheError(
                f"--engine {options.name} deals out the parts itself; leave out --shard."
            )
        return spreading.engine(options)
    if options.jobs or options.address or options.slurm:
        raise FeatcacheError(
            "--jobs, --address and --slurm are for --engine ray or slurm; say which, or leave them "
            "out (--workers says how many decode here)."
        )
    return None


def _done(
    order: Order, found: Sequence[tuple[Dataset, PromptBank]], working: Engine | None
) -> Iterator[list[Report | Exception]]:
    """Reports on each data set, one a backbone: made here as they are asked for, or elsewhere."""
    from featcache.encoding.order import encode
    from featcache.encoding.spreading import spread

    if working:
        try:
            with progress("parts") as update:
                yield from spread(order, [data for data, _ in found], working, update)
        finally:
            working.close()
        return
    loaded = _loaded(order)
    for data, bank in found:
        with progress("crops") as update:
            reports = encode(order, data, bank, loaded, update)
        yield reports


def _told(report: Report, notes: Sequence[str], as_json: bool) -> dict[str, Any]:
    """What a report says as a document, having said it to people."""
    _say(people(as_json), report)
    return {**_document(report), "notes": [*notes, *report.notes]}


def _shown(as_json: bool, documents: list[dict[str, Any]], several: str, backbones: int) -> None:
    if documents:
        one = several == "backbones" and backbones == 1
        document(as_json, documents[0] if one else {several: documents})


def _loaded(order: Order) -> list[Backbone]:
    """The backbones; processes that will decode start meanwhile."""
    from featcache.encoding.decoding import processes
    from featcache.encoding.order import load

    if order.decoding.where != "threads":
        processes.warm_up(order.device)
    loaded = []
    for each in order.backbones:
        with people(True).status(f"loading {each}"):
            loaded.append(load(order, each))
    return loaded


def _refuse(failed: Sequence[Exception], bad: int, allowed: int) -> None:
    for error in failed[1:]:
        people(True).print(str(error), markup=False)
    if failed:
        raise failed[0]
    if bad > allowed:
        raise FeatcacheError(
            f"{bad} pictures could not be read (listed above); mend them and run "
            "this again (with --retry-bad where the files themselves are as they should be), or "
            f"accept them with --allow-bad {bad}."
        )


def _document(report: Report) -> dict[str, Any]:
    return {
        "key": report.entry.key,
        "encoded": report.encoded,
        "taken": report.taken,
        "skipped": report.skipped,
        "crops": report.crops,
        "prompts": report.prompts,
        "batch_size": report.batch_size,
        "wall_seconds": report.wall,
        "seconds": report.seconds,
        "complete": report.entry.complete,
        "bad": [{"id": i, "reason": r} for i, r in report.bad],
        "damaged": report.damaged,
    }


def _say(console: Console, report: Report) -> None:
    for problem in report.damaged:
        console.print(f"taken off the list: {problem}", markup=False)
    for note in report.notes:
        console.print(f"note: {note}", markup=False)
    if report.taken:
        console.print(f"{report.taken} pictures are known by their bytes and were taken over.")
    if report.crops:
        stages = ", ".join(f"{name} {value:.1f}" for name, value in report.seconds.items())
        console.print(
            f"Encoded {report.encoded} pictures ({report.crops} crops) and {report.prompts} "
            f"prompts in {report.wall:.1f} s, {report.crops / report.wall:.0f} crops/s, "
            f"{report.batch_size} at once; seconds by stage: {stages}."
        )
    else:
        prompts = f"Encoded {report.prompts} prompts" if report.prompts else "Nothing to encode"
        console.print(
            f"{prompts}: all {report.skipped + report.taken} pictures asked for are cached."
        )
    for line in told_bad(report.bad):
        console.print(line, markup=False)
    console.print(report.entry.key, markup=False)


def told_bad(bad: Sequence[tuple[str, str]]) -> list[str]:
    """A line for each bad picture (id, reason); of many one for each kind of reason.

    Reasons that differ in numbers or in what stands in brackets are of one kind.
    """
    if len(bad) <= MOST_BAD:
        return [f"bad picture {picture}: {reason}" for picture, reason in bad]
    kinds: dict[str, list[tuple[str, str]]] = {}
    for picture, reason in bad:
        kinds.setdefault(re.sub(r"\d+", "0", reason.partition(" (")[0]), []).append(
            (picture, reason)
        )
    often = sorted(kinds.values(), key=len, reverse=True)
    lines = [f"{len(bad)} bad pictures (--json lists all):"]
    for held in often[:MOST_REASONS]:
        first = few([picture for picture, _ in held[:3]])
        more = ", …" if len(held) > 3 else ""
        lines.append(f"  {len(held)}: {held[0][1].rstrip('.')}; {first}{more}")
    if rest := often[MOST_REASONS:]:
        lines.append(f"  {sum(map(len, rest))} for {len(rest)} other reasons")
    return lines
