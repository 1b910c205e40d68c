"""The command that holds two entries against each other."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from featcache.commands import completion
from featcache.datasets.checks import few
from featcache.store import manifest
from featcache.store.cache import FeatureCache
from featcache.store.entry import Entry
from featcache.terminal import Cache, Json, as_mapping, document, people

if TYPE_CHECKING:
    from featcache.store.difference import Cosines, Difference, Prompts, Rows

KEY_OR_FOLDER = typer.Argument(
    help="An entry's key, or its folder.", autocompletion=completion.keys
)
LONGEST = 60  # letters of a value of a manifest


def diff(
    a: Annotated[str, KEY_OR_FOLDER],
    b: Annotated[str, KEY_OR_FOLDER],
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Say what differs between two entries: manifests, rows, embeddings, prompts.

    Example: featcache diff digits /mnt/other/digits/demo/1f2e3d4c5b6a
    """
    from featcache.store.difference import difference

    store = FeatureCache(cache)
    one, other = (_entry(store, text) for text in (a, b))
    found = difference(one, other)
    document(as_json, {"a": str(one.folder), "b": str(other.folder), **as_mapping(found)})
    console = people(as_json)
    for line in (f"A: {one.folder}", f"B: {other.folder}", *_lines(found)):
        console.print(line, markup=False)


def _entry(store: FeatureCache, text: str) -> Entry:
    folder = Path(text).expanduser()
    if (folder / manifest.FILE).is_file():
        return Entry(folder.resolve(), manifest.load(folder))
    return store.get(text)


def _lines(found: Difference) -> Iterator[str]:
    if found.same:
        yield "Nothing differs."
    for path, (x, y) in found.manifest.items():
        if path != "dataset.classnames":
            yield f"{path}: {_short(x)} in A, {_short(y)} in B"
        elif not (found.classes_a or found.classes_b):
            yield "classes: the same names in another order, or another number of times"
    if found.classes_a or found.classes_b:
        yield f"classes: {'; '.join(_apart(found.classes_a, found.classes_b))}"
    for split, rows in found.rows.items():
        yield f"{split}: {'; '.join(_of_rows(rows))}"
    for bank, prompts in found.prompts.items():
        yield f"prompts {bank}: {'; '.join(_of_prompts(prompts))}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _apart(a: Sequence[str], b: Sequence[str]) -> Iterator[str]:
    for names, which in ((a, "A"), (b, "B")):
        if names:
            yield f"{len(names)} only in {which} ({few(list(names))})"


def _of_rows(rows: Rows) -> Iterator[str]:
    yield from _of_cosines(rows.cosines, "rows")
    yield from _apart(rows.only_a, rows.only_b)
    if rows.relabelled:
        id_, x, y = rows.relabelled[0]
        yield f"{len(rows.relabelled)} of another class, the first {id_!r}: {x!r} in A, {y!r} in B"
    if rows.unreadable:
        yield f"{len(rows.unreadable)} readable in one alone ({few(rows.unreadable)})"


def _of_prompts(prompts: Prompts) -> Iterator[str]:
    yield from _of_cosines(prompts.cosines, "prompts")
    yield from _apart(prompts.only_a, prompts.only_b)


def _of_cosines(cosines: Cosines, what: str) -> Iterator[str]:
    if not cosines.quantiles:
        yield f"{cosines.common} {what} in both, none to be compared"
        return
    quantiles = ", ".join(f"{name} {value:.6f}" for name, value in cosines.quantiles.items())
    yield f"{cosines.common} {what} in both, cosines {quantiles}"
    if cosines.below:
        worst = ", ".join(f"{name!r} {value:.4f}" for name, value in cosines.worst[:5])
        yield f"{cosines.below} below 0.999, the least {worst}"
