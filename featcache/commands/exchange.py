"""Commands that take feature files and parts of caches in, and give files out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from featcache.commands import completion
from featcache.commands.look import describe
from featcache.commands.options import Key
from featcache.errors import FeatcacheError
from featcache.terminal import Cache, Json, document, people


def import_files(
    files: list[Path],
    dataset: Annotated[str, typer.Option(help="Name the features shall have.")],
    backbone: Annotated[
        str,
        typer.Option(help="What they were encoded with.", autocompletion=completion.backbones),
    ],
    logit_scale: Annotated[
        float | None, typer.Option(help="The backbone's, where the files do not say it (100).")
    ] = None,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Take feature files (npz, safetensors) into the cache.

    Example: featcache import CLIP_RN50.npz --dataset whurs19 --backbone RN50
    """
    from featcache import FeatureCache, import_features

    entry = import_features(files, dataset, backbone, FeatureCache(cache), logit_scale)
    document(as_json, describe(entry))
    rows = ", ".join(f"{n} {s}" for s, n in entry.splits.items())
    people(as_json).print(f"Imported {rows} rows of {len(entry.classnames)} classes: {entry.key}")


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
    out: Annotated[Path, typer.Option(help="File to write, .npz or .safetensors.")],
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Write an entry's features to one file.

    Example: featcache export digits --out digits.npz
    """
    from featcache import FeatureCache, export_features

    entry = FeatureCache(cache).get(key)
    path = export_features(entry, out)
    document(as_json, {"key": entry.key, "file": str(path)})
    people(as_json).print(f"Wrote {path} from {entry.key}.", markup=False)
