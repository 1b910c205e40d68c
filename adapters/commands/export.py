"""`adapters export`: a saved adapter as a head for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adapters.commands.options import AdapterFolder
from featcache import terminal
from featcache.terminal import Cache, Json

if TYPE_CHECKING:
    from adapters.adapter import Adapter


def export(
    adapter: AdapterFolder,
    out: Annotated[Path, typer.Option(help="File to write: .onnx, or .pt2 for torch.")] = Path(
        "head.onnx"
    ),
    output: Annotated[str, typer.Option(help="probabilities or logits.")] = "probabilities",
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Write a saved adapter as a file that needs no featcache: raw embedding in, classes out.

    Example: adapters export runs/… --out head.onnx
    """
    from adapters.adapter import load
    from adapters.using.exporting import export as write

    fitted = load(adapter)
    preprocess = _preprocess(fitted, cache)
    apart = write(fitted, out, output, preprocess)
    people, beside = terminal.people(as_json), out.with_suffix(".json")
    people.print(f"written to {out}, with its classes in {beside}", markup=False)
    people.print(f"{output} differ from the adapter's by {apart:.1e}")
    if preprocess is None:
        people.print(
            "how pictures are prepared is not said, for the entry it was fitted on is not in this "
            "cache, or was imported."
        )
    told = {"out": str(out), "about": str(beside), "output": output, "difference": apart}
    terminal.document(as_json, {**told, "preprocess": preprocess})


def _preprocess(fitted: Adapter, cache: Path | None) -> dict[str, Any] | None:
    """How pictures are prepared for its backbone, where the cache still has the entry."""
    from featcache.errors import FeatcacheError
    from featcache.store.cache import FeatureCache

    try:
        entry = FeatureCache(cache).get(fitted.told("entry"))
    except FeatcacheError:
        return None
    found = entry.manifest["backbone"].get("preprocess")
    return found if isinstance(found, dict) else None
