"""Prompts of each class: templates with the class name filled in, or descriptions of one's own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from featcache.datasets.checks import exists, few, read_text, slug
from featcache.datasets.dataset import Dataset
from featcache.descriptions import Descriptions, are_phrases, lines, once, read, sentence
from featcache.errors import ConfigError, UnknownNameError
from featcache.resources import data_path
from featcache.store.entry import NEGATIVE, is_negative

SHIPPED = ("single", "dataset", "seven", "eighty", "ensemble", NEGATIVE)
DESCRIPTORS = "descriptors"
KINDS = ("templates", "descriptions", DESCRIPTORS)  # what a file may say that it holds
JOIN = "+"


@dataclass(frozen=True)
class PromptBank:
    """The prompts of every class in label order; classes may have different numbers of them.

    `source` says whose they are, `notes` what people should know of how they came about.
    """

    name: str
    prompts: tuple[tuple[str, ...], ...]
    source: str = field(default="", compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the prompts and of which class they belong to."""
        text = json.dumps(self.prompts)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Shipped:
    """A bank that ships: its templates, none where they are each data set's own, and its source."""

    name: str
    templates: tuple[str, ...]
    source: str


@cache
def shipped() -> tuple[Shipped, ...]:
    """The banks that ship, in the order of `SHIPPED`."""
    held = json.loads(data_path("templates.json").read_text(encoding="utf-8"))
    known = {name: (tuple(bank["templates"]), bank["source"]) for name, bank in held.items()}
    known["dataset"] = ((), "the data set's own: CoOp's for published sets, ours for made ones")
    known["ensemble"] = ((), "the seven, then those of the data set's own that are not among them")
    return tuple(Shipped(name, *known[name]) for name in SHIPPED)


def bank(spec: str | None, dataset: Dataset) -> PromptBank:
    """Prompts for a data set.

    `spec` is None or `dataset` for the set's own templates, `single`, `seven` and `eighty` (CLIP's
    for ImageNet), `ensemble` (seven and own), `negative` (that the class is not there), or a file:
    `.txt` with a template a line; `.json` with a list of templates, or prompts by class as
    `featcache.descriptions` has them. A file whose name begins with `negative-` is a negative bank
    too, the phrases of one that begins with `descriptors` are filled in as descriptors. `A+B` has
    the prompts of both, and those of A alone for classes that B lacks. Raises ConfigError for a
    file that cannot be used and UnknownNameError for another name.
    """
    spec = spec or "dataset"
    names = [spec] if JOIN not in spec or exists(Path(spec).expanduser()) else spec.split(JOIN)
    parts = [_part(name, dataset) for name in names]
    if len({is_negative(part.name) for part in parts}) > 1:
        raise ConfigError(f"{spec} joins a negative bank with one that is none; encode them apart.")
    prompts = tuple(
        tuple(prompt for part in parts for prompt in part.prompts[label])
        for label in range(len(dataset.classnames))
    )
    notes = [note for part in parts for note in part.notes]
    whole, lacking = _missing(prompts, dataset), [_missing(part.prompts, dataset) for part in parts]
    for name, missing in zip(names, lacking, strict=True):
        if whole and missing:
            more = "".join(f" ({note})" for note in notes if "no classes here" in note)
            raise ConfigError(
                f"{name} has no prompts for {few(missing)}; add them, or give `single{JOIN}{name}` "
                f"so that every class has a template.{more}"
            )
        if missing:
            notes.append(f"{name} has no prompts for {few(missing)}; theirs are the others' alone.")
    return PromptBank(
        slug("-".join(part.name for part in parts)),
        prompts,
        "; ".join(part.source for part in parts),
        tuple(notes),
    )


def fill(template: str, classname: str) -> str:
    """A template with the class name in place of `{}`; here underscores become spaces."""
    return template.replace("{}", spoken(classname))


def spoken(classname: str) -> str:
    """A class name as it stands in a prompt."""
    return classname.replace("_", " ")


def _missing(prompts: Sequence[Sequence[str]], dataset: Dataset) -> list[str]:
    names = zip(dataset.classnames, prompts, strict=True)
    return list(dict.fromkeys(spoken(name) for name, mine in names if not mine))


def _part(name: str, dataset: Dataset) -> PromptBank:
    """A shipped bank or a file's, of which classes may have no prompts."""
    if name in SHIPPED:
        found = next(each for each in shipped() if each.name == name)
        templates = found.templates or dataset.templates
        if name == "ensemble":
            seven = next(each for each in shipped() if each.name == "seven").templates
            templates = tuple(dict.fromkeys([*seven, *dataset.templates]))
        return PromptBank(name, _filled(templates, dataset), found.source)
    path = Path(name).expanduser()
    suffix = path.suffix.lower()
    if suffix not in (".txt", ".json"):
        hint = "Or give a file that ends in .txt or .json."
        raise UnknownNameError("prompt bank", name, SHIPPED, hint)
    called = slug(path.stem)
    if called in SHIPPED:
        raise ConfigError(f"{path} would pass for the shipped bank {called!r}; rename the file.")
    try:
        text = read_text(path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read the prompts {path} ({error}); check the path.") from None
    if suffix == ".txt":
        templates = tuple(line.strip() for line in text.split("\n") if line.strip())
        filled = _filled(_templates(templates, path), dataset)
        return PromptBank(called, filled, path.name)
    return _from_json(_parsed(text, path), dataset, path)


def _filled(templates: Sequence[str], dataset: Dataset) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(fill(t, name) for t in templates) for name in dataset.classnames)


def _parsed(text: str, path: Path) -> Any:
    try:
        return json.loads(text, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not JSON of prompts ({error}); mend it.") from None


def _from_json(data: Any, dataset: Dataset, path: Path) -> PromptBank:
    kind, source, content = _unwrapped(data, path)
    name = slug(path.stem)
    if not kind and name.startswith(DESCRIPTORS):
        kind = DESCRIPTORS
    lists = isinstance(content, list) and content and all(isinstance(e, list) for e in content)
    if kind == "templates" or (not kind and isinstance(content, list) and not lists):
        return PromptBank(name, _filled(_templates(content, path), dataset), source)
    found = read(content, dataset, str(path))
    notes, phrases = list(found.notes), kind == DESCRIPTORS
    if phrases:
        example = next((p for mine in _told(found, dataset, True) for p in mine), "")
        notes.append(f"{path}: descriptors are filled in, such as {example!r}.")
    elif not kind and are_phrases(found.texts):
        notes.append(
            f"{path}: these look like descriptors, phrases without the class; they are taken as "
            f"they are. In a file whose name begins with {DESCRIPTORS} they are filled in, such as "
            f"{sentence('hen', 'two legs')!r}."
        )
    return PromptBank(name, _told(found, dataset, phrases), source, tuple(notes))


def _told(found: Descriptions, dataset: Dataset, phrases: bool) -> tuple[tuple[str, ...], ...]:
    return tuple(
        tuple(sentence(spoken(name), text) if phrases else fill(text, name) for text in mine)
        for mine, name in zip(found.texts, dataset.classnames, strict=True)
    )


def _unwrapped(data: Any, path: Path) -> tuple[str, str, Any]:
    """What a file says that it holds, nothing where it does not say; its source, and the content.

    `{"source": "…", "templates": […]}` is how banks ship; a class of that name has a list there.
    """
    if not isinstance(data, dict) or not isinstance(data.get("source"), str):
        return "", path.name, data
    kinds = [kind for kind in KINDS if kind in data]
    if len(kinds) != 1 or len(data) != 2:
        raise ConfigError(
            f"{path} names its source; beside that give one of {', '.join(KINDS)} and nothing else."
        )
    return kinds[0], data["source"], data[kinds[0]]


def _templates(listed: object, path: Path) -> list[str]:
    templates = lines(listed, str(path))
    for template in templates:
        if "{}" not in template:
            raise ConfigError(f"{path}: {template!r} has no {{}} for the class name; add it.")
    return templates
