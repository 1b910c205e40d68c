"""The command that lists prompt banks and shows one with the class names filled in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from featcache.commands import completion
from featcache.commands.options import Root
from featcache.errors import FeatcacheError
from featcache.terminal import Cache, Json, document, people, table

if TYPE_CHECKING:
    from featcache.datasets.dataset import Dataset

MOST = 5  # prompts of a class, as lines


def list_or_show(
    name: Annotated[
        str | None,
        typer.Argument(
            help="Bank or file; all banks if left out.", autocompletion=completion.banks
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="Whose classes are filled in: name, folder or key.",
            autocompletion=completion.datasets,
        ),
    ] = None,
    root: Root = None,
    first: Annotated[int, typer.Option(min=1, help="Classes shown (--json: all).")] = 3,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """List the prompt banks with their sources, or show one filled in for the first classes.

    Example: featcache prompts seven --dataset digits
    """
    if dataset is not None:
        _show(name, _classes(dataset, root, cache), first, as_json)
    elif name is None:
        _list(as_json)
    else:
        _templates(name, as_json)


def _list(as_json: bool) -> None:
    from featcache.prompts import shipped

    rows = [
        {"name": each.name, "templates": len(each.templates) or None, "source": each.source}
        for each in shipped()
    ]
    document(as_json, rows)
    told = [(str(r["name"]), str(r["templates"] or "varies"), str(r["source"])) for r in rows]
    table(people(as_json), ("name", "templates", "source"), told)


def _templates(name: str, as_json: bool) -> None:
    """The templates of a bank as they are; those of every named set where they are its own."""
    from featcache import dataset_names
    from featcache.errors import UnknownNameError
    from featcache.prompts import JOIN, SHIPPED, shipped

    if JOIN in name or Path(name).suffix:
        raise FeatcacheError(f"say with --dataset whose classes {name} is to be filled in for.")
    if name not in SHIPPED:
        hint = "Or give a file that ends in .txt or .json."
        raise UnknownNameError("prompt bank", name, SHIPPED, hint)
    found = next(each for each in shipped() if each.name == name)
    own = {} if found.templates else {info.name: info.templates for info in dataset_names()}
    document(
        as_json,
        {"name": name, "source": found.source, "templates": found.templates, "by_dataset": own},
    )
    console = people(as_json)
    console.print(f"{name}: {found.source}", markup=False)
    for template in found.templates:
        console.print(f"  {template}", markup=False)
    if own:
        table(console, ("data set", "templates"), [(n, "\n".join(t)) for n, t in own.items()])


def _show(name: str | None, data: Dataset, first: int, as_json: bool) -> None:
    from featcache import prompt_bank

    bank = prompt_bank(name, data)
    classes = [
        {"class": classname, "prompts": mine}
        for classname, mine in zip(data.classnames, bank.prompts, strict=True)
    ]
    about = {"name": bank.name, "dataset": data.name, "source": bank.source, "notes": bank.notes}
    document(as_json, {**about, "fingerprint": bank.fingerprint, "classes": classes})
    console = people(as_json)
    counts = sorted({len(mine) for mine in bank.prompts})
    many = "-".join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))
    console.print(
        f"{bank.name} for {data.name}: {many} prompts a class, {len(classes)} classes; "
        f"{bank.source}",
        markup=False,
    )
    for note in bank.notes:
        console.print(f"note: {note}", markup=False)
    for classname, mine in list(zip(data.classnames, bank.prompts, strict=True))[:first]:
        console.print(f"{classname}", markup=False)
        for prompt in mine[:MOST]:
            console.print(f"  {prompt}", markup=False)
        if len(mine) > MOST:
            console.print(f"  and {len(mine) - MOST} more (--json lists all)")


def _classes(name: str, root: Path | None, cache: Path | None) -> Dataset:
    """The data set as its files have it, or where no root says where they are, as it is cached."""
    from featcache import load_dataset
    from featcache.datasets.dataset import PHOTO, Dataset
    from featcache.datasets.table import named
    from featcache.errors import CacheError, DatasetError, UnknownNameError
    from featcache.store.cache import FeatureCache

    try:
        return load_dataset(name, root)
    except (DatasetError, UnknownNameError):
        if root is not None:
            raise
        try:
            entry = FeatureCache(cache).find(name)
        except (CacheError, UnknownNameError):
            entry = None
        if entry is None:
            raise
    info = named(entry.dataset)
    templates = info.templates if info else PHOTO
    return Dataset(entry.dataset, entry.classnames, {}, templates, class_ids=entry.class_ids)
