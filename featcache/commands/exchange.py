"""Commands that take feature files and parts of caches in, and give files out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from featcache.commands import completion
from featcache.commands.look import describe
from featcache.commands.options import Key
from featcache.errors import FeatcacheError
from featcache.store.entry import Entry, reload
from featcache.terminal import Cache, Json, document, one_of, people


def import_files(
    files: Annotated[list[Path], typer.Argument(help="Feature files, or folders of them.")],
    dataset: Annotated[str, typer.Option(help="Name the features shall have.")],
    backbone: Annotated[
        str,
        typer.Option(help="What they were encoded with.", autocompletion=completion.backbones),
    ],
    logit_scale: Annotated[
        float | None, typer.Option(help="The backbone's, where the files do not say it (100).")
    ] = None,
    written_by: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="The project that wrote them, where that is not recognised.",
            autocompletion=completion.formats,
        ),
    ] = None,
    classes: Annotated[
        Path | None,
        typer.Option(help="Class names by label: lines, JSON, or CoOp's split file."),
    ] = None,
    text: Annotated[
        Path | None, typer.Option(help="A file with class vectors or prompt embeddings.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Of the draw of support sets, where the files do not say it."),
    ] = None,
    tower: Annotated[
        bool,
        typer.Option(
            "--text-tower", help="Keep the backbone's text tower, if these are its texts."
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be taken, and take nothing.")
    ] = False,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Take feature files of any project (npz, npy, safetensors, pt) into the cache.

    Example: featcache import caches/caltech101 --dataset caltech-101 --backbone RN50 --dry-run
    """
    from featcache import FeatureCache
    from featcache.interchange.importing import take
    from featcache.interchange.offer import Said, look

    said = Said(written_by, classes, text, seed)
    offer = look(files, dataset, backbone, said)
    if dry_run:
        _show(offer.described(), as_json)
        return
    entry = take(offer, dataset, backbone, FeatureCache(cache), logit_scale, said)
    kept = [_keep_tower(entry, backbone)] if tower else []
    entry = reload(entry)
    document(as_json, describe(entry))
    console = people(as_json)
    rows = ", ".join(f"{n} {s}" for s, n in entry.splits.items())
    sets = ", ".join(f"{k} shots with seed {s}" for k, s in entry.supports)
    what = " and ".join([f"{rows} rows"] * bool(rows) + [f"support of {sets}"] * bool(sets))
    kind = f"{len(entry.classnames)} classes (format {offer.project})"
    console.print(f"Imported {what} of {kind}: {entry.key}", markup=False)
    told = [*entry.manifest["remarks"], *[f"left: {name}" for name in offer.left]]
    told += kept
    told += [] if entry.banks else ["there is no text: --text FILE adds class vectors."]
    for line in told:
        console.print(f"  {line}", markup=False)


def _keep_tower(entry: Entry, backbone: str) -> str:
    from featcache import load_backbone
    from featcache.encoding.tower import keep

    return keep(entry, load_backbone(backbone, device="cpu", precision="fp32"))


def _show(described: dict[str, Any], as_json: bool) -> None:
    """What would be taken, for people: nothing that is empty."""
    document(as_json, described)
    console = people(as_json)
    for name, value in described.items():
        parts = (
            [f"{key} {each}" for key, each in value.items()] if isinstance(value, dict) else value
        )
        for part in parts if isinstance(parts, list) else [value] * (value is not None):
            console.print(f"{name}: {part}", markup=False)


def merge(
    parts: Annotated[list[Path], typer.Argument(help="Caches, or folders of entries.")],
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Take in what other machines encoded with --shard i/N.

    Example: featcache merge /mnt/part2 /mnt/part3 --cache features
    """
    from featcache import FeatureCache
    from featcache.store import merging

    found = [merging.parts_of(path) for path in parts]
    problems = [told for _, broken in found for told in broken.values()]
    console, done = people(as_json), []
    for entry in (entry for entries, _ in found for entry in entries):
        merged = merging.merge(entry, FeatureCache(cache))
        done.append(merged)
        console.print(
            f"{merged.entry.key}: {len(merged.taken)} shards taken from {entry.folder}, "
            f"{merged.held} were there.",
            markup=False,
        )
        for line in (*merged.told, *merged.problems):
            console.print(f"  {line}", markup=False)
        problems += merged.problems
    for merged in {each.entry.key: each for each in done}.values():
        if not merged.entry.complete:
            console.print(f"{merged.entry.key} is not complete yet; see `featcache verify`.")
    document(
        as_json,
        [
            {
                "key": each.entry.key,
                "complete": each.entry.complete,
                "taken": each.taken,
                "held": each.held,
                "told": each.told,
                "problems": each.problems,
            }
            for each in done
        ],
    )
    if problems:
        raise FeatcacheError(f"{len(problems)} parts were not taken, the first: {problems[0]}")


def export(
    key: Key,
    out: Annotated[Path, typer.Option(help="File to write, or folder for --format tip.")],
    layout: Annotated[
        str,
        typer.Option(
            "--format",
            help="plain, one file of arrays, or tip, Tip-Adapter's folder.",
            autocompletion=completion.exported,
        ),
    ] = "plain",
    shots: Annotated[str, typer.Option(help="Of tip's keys, such as 1,2,4.")] = "16",
    seed: Annotated[int, typer.Option(help="Of tip's draw.")] = 1,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Write an entry's features to one file, or to a folder as Tip-Adapter and its heirs read it.

    Example: featcache export digits --out digits.npz
    """
    from featcache import FeatureCache, export_features

    entry = FeatureCache(cache).get(key)
    one_of("--format", layout, completion.EXPORTED)
    if layout == "tip":
        from featcache.interchange.tip import export_tip

        path = export_tip(entry, out, _numbers("--shots", shots), seed)
    else:
        path = export_features(entry, out)
    document(as_json, {"key": entry.key, "file": str(path)})
    people(as_json).print(f"Wrote {path} from {entry.key}.", markup=False)


def _numbers(option: str, text: str) -> list[int]:
    """Whole numbers with commas between them. Raises `FeatcacheError` for anything else."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) for part in parts):
        raise FeatcacheError(f"{option} takes numbers such as 1,2,4, got {text!r}.")
    return [int(part) for part in parts]
