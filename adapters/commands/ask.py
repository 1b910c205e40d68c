"""`adapters predict` and `adapters evaluate`: questions to a saved adapter.

`predict` is the one place of this package where pictures are read, by `featcache`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adapters.commands.options import AdapterFolder
from featcache import terminal
from featcache.errors import FeatcacheError
from featcache.terminal import Cache, Json

if TYPE_CHECKING:
    from adapters.adapter import Adapter


def predict(
    adapter: AdapterFolder,
    images: Annotated[list[Path], typer.Argument(help="Pictures to classify.")],
    device: Annotated[str, typer.Option(help="auto, cpu, cuda …")] = "auto",
    top: Annotated[int, typer.Option(min=1, help="Classes to show a picture.")] = 3,
    as_json: Json = False,
) -> None:
    """Classify pictures with a saved adapter. Example: adapters predict runs/… cat.jpg"""
    from adapters.adapter import load
    from adapters.episode import Query
    from featcache.encoding.embed import embed_with

    fitted = load(adapter)
    backbone = _backbone(fitted, adapter, device)
    query = Query.of_features(embed_with(backbone, images, fitted.extras))
    best = fitted.logits(query).softmax(1).topk(min(top, len(fitted.classnames)))
    document = [
        {"image": str(path), "classes": [fitted.classnames[i] for i in index], "scores": values}
        for path, index, values in zip(
            images, best.indices.tolist(), best.values.tolist(), strict=True
        )
    ]
    terminal.document(as_json, document)
    people = terminal.people(as_json)
    for line in document:
        guesses = zip(line["classes"], line["scores"], strict=True)
        text = ", ".join(f"{name} {100 * score:.1f} %" for name, score in guesses)
        people.print(f"{line['image']}: {text}", markup=False)


def _backbone(fitted: Adapter, folder: Path, device: str) -> Any:
    """The model whose embeddings the adapter was fitted on."""
    from featcache.backbones.backbone import load

    with terminal.people(True).status(f"loading {fitted.told('backbone')}"):
        backbone = load(fitted.told("backbone"), device=device)
    if fitted.about.get("fingerprint", "unknown") not in ("unknown", backbone.fingerprint):
        raise FeatcacheError(
            f"the weights of {backbone.name} are not those that {folder} was fitted on; use the "
            "same weights, or encode and fit again."
        )
    return backbone


def evaluate(adapter: AdapterFolder, cache: Cache = None, as_json: Json = False) -> None:
    """Score a saved adapter on the test split beside its draw. Example: adapters evaluate runs/…"""
    from adapters.adapter import load
    from adapters.fitting import score
    from featcache.store.cache import FeatureCache

    fitted = load(adapter)
    entry = FeatureCache(cache).get(fitted.told("entry"))
    scores = score(fitted, entry)
    first, people = scores[0], terminal.people(as_json)
    document = {
        "method": fitted.method,
        **fitted.about,
        "accuracy": first.accuracy,
        "n_test": first.n_test,
        "by_class": first.by_class,
    }
    if len(scores) > 1:
        document["targets"] = {each.target: each.accuracy for each in scores}
    terminal.document(as_json, document)
    for each in scores:
        of = "" if len(scores) == 1 else f" ({each.target})"
        people.print(
            f"[bold]{each.accuracy:.2f} %[/] of {each.n_test} test pictures of {entry.key}{of}"
        )
        rows = [(name, f"{value:.1f} %") for name, value in each.by_class.items()]
        terminal.table(people, ("class", "accuracy"), rows)
