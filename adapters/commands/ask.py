"""`adapters predict` and `adapters evaluate`: questions to a saved adapter.

`predict` is the one place of this package where pictures are read, by `featcache`.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adapters.commands import completion
from adapters.commands.options import RESULTS, AdapterFolder
from featcache import terminal
from featcache.errors import FeatcacheError, PictureError
from featcache.terminal import Cache, Json

if TYPE_CHECKING:
    from adapters.adapter import Adapter
    from adapters.scoring import Score
    from featcache.store.cache import FeatureCache
    from featcache.store.entry import Entry

COLUMNS = ("image", "rank", "class", "probability")
FORMATS = ("text", "table", "csv", "json")
SPLITS = ("train", "val", "test")
BATCH = 64  # pictures

Guess = dict[str, Any]  # a picture's name, its best classes and their probabilities
Embed = Callable[[Sequence[Path]], dict[str, Any]]  # features by name, of pictures


@dataclass(frozen=True)
class Wanted:
    """How many classes to show, the probability of a known one, and the threshold of sets."""

    top: int = 3
    unknown_below: float | None = None
    threshold: float | None = None

    def of(self, names: list[str], scores: list[float]) -> Guess:
        """What is told of a picture by all its classes, the best first."""
        told: Guess = {}
        if self.unknown_below is not None:
            told["known"] = scores[0] >= self.unknown_below
        shown = self.top
        if self.threshold is not None:
            held = sum(1 - score <= self.threshold for score in scores)
            told["set"] = names[:held]
            shown = max(shown, held)
        return {"classes": names[:shown], "scores": scores[:shown], **told}

    @property
    def columns(self) -> tuple[str, ...]:
        """Of a table with a line for each class of a picture."""
        known = ("known",) if self.unknown_below is not None else ()
        return (*COLUMNS, *known, *(("in_set",) if self.threshold is not None else ()))


def predict(
    adapter: AdapterFolder,
    images: Annotated[
        list[str] | None, typer.Argument(help="Pictures, folders of them, or patterns (**/*.jpg).")
    ] = None,
    listed: Annotated[
        str | None, typer.Option("--list", help="File with a picture a line; - is standard input.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda …")] = "auto",
    top: Annotated[int, typer.Option(min=1, help="Classes to show a picture.")] = 3,
    unknown_below: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Call pictures unknown whose best class is less probable."),
    ] = None,
    coverage: Annotated[
        float | None,
        typer.Option(help="Name the set of classes that holds the truth as often, such as 0.9."),
    ] = None,
    form: Annotated[str, typer.Option("--format", help="text, table, csv or json.")] = "text",
    as_json: Json = False,
) -> None:
    """Classify pictures with a saved adapter. Example: adapters predict runs/… cat.jpg"""
    terminal.one_of("--format", form, FORMATS)
    from adapters.adapter import load
    from adapters.commands.pictures import asked
    from featcache.encoding.embed import embed_with
    from featcache.pictures.formats import suffixes

    fitted = load(adapter)
    threshold = None if coverage is None else fitted.threshold(coverage)
    want = Wanted(top, unknown_below, threshold)
    if unknown_below is not None:
        fitted.calibration  # noqa: B018  which refuses where there is none
    paths = asked(images or [], suffixes(), listed)
    backbone = _backbone(fitted, adapter, device)
    bad: dict[Path, str] = {}
    guesses = _guesses(
        fitted, paths, lambda some: embed_with(backbone, some, fitted.extras), want, bad
    )
    _show(guesses, "json" if as_json else form, as_json, want.columns)
    for path, reason in bad.items():
        told = reason.removeprefix(f"{path.name} ")
        terminal.people(True).print(f"{path}: {told}", markup=False)
    if bad:
        raise FeatcacheError(
            f"{len(bad)} of {len(paths)} pictures could not be classified (named above)."
        )


def _guesses(
    fitted: Adapter, paths: Sequence[Path], embed: Embed, want: Wanted, bad: dict[Path, str]
) -> Iterator[Guess]:
    """What each picture shows, in order; those that cannot be told go to `bad` with the reason."""
    from adapters.compose import get
    from adapters.episode import Query

    # A transductive method looks at all pictures together.
    size = len(paths) if get(fitted.method).transductive else BATCH
    for first in range(0, len(paths), size):
        good, features = _readable(paths[first : first + size], embed, bad)
        if not good:
            continue
        logits = fitted.logits(Query.of_features(features))
        best = (logits.double() / fitted.temperature).softmax(1).sort(descending=True, stable=True)
        finite = logits.isfinite().all(1).tolist()
        rows = zip(good, finite, best.indices.tolist(), best.values.tolist(), strict=True)
        for path, told, index, scores in rows:
            if not told:
                bad[path] = "its scores are not finite."
                continue
            yield {"image": str(path), **want.of([fitted.classnames[i] for i in index], scores)}


def _readable(
    paths: Sequence[Path], embed: Embed, bad: dict[Path, str]
) -> tuple[list[Path], dict[str, Any]]:
    """Those of the pictures that can be read, and their features; the others go to `bad`."""
    import numpy as np

    try:
        return list(paths), embed(paths)
    except PictureError:  # which says one of them, and there may be more
        found: dict[Path, dict[str, Any]] = {}
        for path in paths:
            try:
                found[path] = embed([path])
            except PictureError as error:
                bad[path] = str(error)
    good = [path for path in paths if path in found]
    names = found[good[0]] if good else {}
    return good, {name: np.concatenate([found[path][name] for path in good]) for name in names}


def _show(guesses: Iterator[Guess], form: str, as_json: bool, columns: Sequence[str]) -> None:
    """Write what pictures show as they come, or as one table or document."""
    people = terminal.people(as_json)
    if form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(line for guess in guesses for line in _lines(guess))
        return
    if form == "table":
        rows = [[str(cell) for cell in line] for guess in guesses for line in _lines(guess)]
        terminal.table(people, columns, rows)
        return
    told = []
    for guess in guesses:
        told.append(guess)
        pairs = zip(guess["classes"], guess["scores"], strict=True)
        text = ", ".join(f"{name} {100 * score:.1f} %" for name, score in pairs)
        if form == "text" or as_json:
            people.print(f"{guess['image']}: {_said(guess)}{text}", markup=False)
    terminal.document(form == "json", told)


def _said(guess: Guess) -> str:
    """What is said of a picture before its classes."""
    unknown = "unknown; " if guess.get("known") is False else ""
    held = f"one of {{{', '.join(guess['set'])}}}; " if "set" in guess else ""
    return unknown + held


def _lines(guess: Guess) -> Iterator[tuple[str | int, ...]]:
    for rank, (name, score) in enumerate(zip(guess["classes"], guess["scores"], strict=True), 1):
        known = (_yes(guess["known"]),) if "known" in guess else ()
        within = (_yes(rank <= len(guess["set"])),) if "set" in guess else ()
        yield guess["image"], rank, name, f"{score:.6f}", *known, *within


def _yes(told: bool) -> str:
    return "yes" if told else "no"


def _backbone(fitted: Adapter, folder: Path, device: str) -> Any:
    """The model whose embeddings the adapter was fitted on."""
    from featcache.backbones.backbone import load

    with terminal.people(True).status(f"loading {fitted.told('backbone')}"):
        backbone = load(fitted.told("backbone"), device=device)
    # Earlier versions kept a hash of the weights alone.
    ours = ("unknown", backbone.fingerprint, backbone.weights)
    if fitted.about.get("fingerprint", "unknown") not in ours:
        raise FeatcacheError(
            f"the weights of {backbone.name} are not those that {folder} was fitted on; use the "
            "same weights, or encode and fit again."
        )
    return backbone


def evaluate(
    adapter: AdapterFolder,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="Another cached set to score on (the one it was fitted on).",
            autocompletion=completion.dataset,
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    bank: Annotated[
        str | None,
        typer.Option(
            "--prompts",
            help="Prompts of the other set, where it has other classes (the newest).",
            autocompletion=completion.banks,
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 …")] = "cpu",
    results: Annotated[Path, typer.Option(help="Results file that its row goes to.")] = RESULTS,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Score a saved adapter: beside its draw, or on another set, which adds a row.

    Example: adapters evaluate runs/… --dataset shapes-sketch
    """
    terminal.one_of("--split", split, SPLITS)
    from adapters.adapter import load
    from adapters.devices.device import device_of
    from adapters.scoring import score
    from featcache.store.cache import FeatureCache

    place = device_of(device)
    fitted, store = load(adapter).to(place), FeatureCache(cache)
    if dataset is not None or split != "test":
        _elsewhere(fitted, store, dataset, split, bank, results, as_json)
        return
    entry = store.get(fitted.told("entry"))
    scores = score(fitted, entry)
    more = {"targets": {each.target: each.accuracy for each in scores}} if len(scores) > 1 else {}
    _tell(fitted, entry, scores, more, as_json)


def _elsewhere(
    fitted: Adapter,
    store: FeatureCache,
    dataset: str | None,
    split: str,
    bank: str | None,
    results: Path,
    as_json: bool,
) -> None:
    from adapters.results import Results
    from adapters.scoring import score_on, seen

    own = dataset is None
    entry = store.get(fitted.told("entry")) if dataset is None else store.find(dataset)
    if not own and entry.backbone != fitted.about.get("backbone"):
        entry = _of_backbone(store, str(dataset), str(fitted.about.get("backbone")), entry)
    rows = Results(results)
    rows.check_writable()
    found, row = score_on(fitted, entry, split, bank)
    rows.add(row)
    more = {key: row[key] for key in ("run", "task", "target", "target_entry", "strict_accuracy")}
    more |= {"split": split} if split != "test" else {}
    _tell(fitted, entry, [found], more, as_json)
    people = terminal.people(as_json)
    if found.strict is not None and found.strict != found.accuracy:
        people.print(f"[bold]{found.strict:.2f} %[/] among all classes of the adapter")
    if drawn := seen(fitted, entry, split):
        people.print(f"{drawn} of these pictures are those that it was fitted on.")
    people.print(f"row {row['run']} ({row['task']}) added to {results}", markup=False)


def _of_backbone(store: FeatureCache, dataset: str, backbone: str, other: Entry) -> Entry:
    """The set's entry of the adapter's backbone, or where there is none the one of another."""
    from featcache.errors import UnknownNameError

    try:
        return store.find(dataset, backbone)
    except UnknownNameError:
        return other


def _tell(
    fitted: Adapter, entry: Entry, scores: list[Score], more: dict[str, Any], as_json: bool
) -> None:
    first, people = scores[0], terminal.people(as_json)
    what = "pictures" if "split" in more else "test pictures"
    document = {
        "method": fitted.method,
        **fitted.about,
        "accuracy": first.accuracy,
        "n_test": first.n_test,
        "by_class": first.by_class,
        **first.confidence,
        **more,
    }
    terminal.document(as_json, document)
    for each in scores:
        of = "" if each.target == entry.dataset else f" ({each.target})"
        people.print(f"[bold]{each.accuracy:.2f} %[/] of {each.n_test} {what} of {entry.key}{of}")
        rows = [(name, f"{value:.1f} %") for name, value in each.by_class.items()]
        terminal.table(people, ("class", "accuracy"), rows)
