"""Prompts of each class: templates with the class name filled in, or descriptions of one's own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from featcache.datasets.checks import few, is_plain, read_text, slug
from featcache.datasets.dataset import Dataset
from featcache.errors import ConfigError, UnknownNameError
from featcache.resources import data_path
from featcache.store.entry import NEGATIVE

SHIPPED = ("single", "dataset", "seven", "ensemble", NEGATIVE)


@dataclass(frozen=True)
class PromptBank:
    """The prompts of every class in label order; classes may have different numbers of them."""

    name: str
    prompts: tuple[tuple[str, ...], ...]

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the prompts and of which class they belong to."""
        text = json.dumps(self.prompts)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def bank(spec: str | None, dataset: Dataset) -> PromptBank:
    """Prompts for a data set.

    `spec` is None or `dataset` for the set's own templates, `single`, `seven` (ImageNet's),
    `ensemble` (seven and own), `negative` (that the class is not there), or a file: `.txt` with a
    template a line; `.json` with a list of templates, an object of class name to prompts, or a list
    of such lists in label order, which tells classes of equal names apart. A file whose name begins
    with `negative-` is a negative bank too. Raises ConfigError for a file that cannot be used and
    UnknownNameError for another name.
    """
    spec = spec or "dataset"
    if spec in SHIPPED:
        return PromptBank(spec, _filled(_shipped(spec, dataset), dataset))
    path = Path(spec).expanduser()
    readers = {".txt": _from_lines, ".json": _from_json}
    if path.suffix.lower() not in readers:
        hint = "Or give a file that ends in .txt or .json."
        raise UnknownNameError("prompt bank", spec, SHIPPED, hint)
    name = slug(path.stem)
    if name in SHIPPED:
        raise ConfigError(f"{path} would pass for the shipped bank {name!r}; rename the file.")
    try:
        text = read_text(path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read the prompts {path} ({error}); check the path.") from None
    return PromptBank(name, readers[path.suffix.lower()](text, dataset, path))


def fill(template: str, classname: str) -> str:
    """A template with the class name in place of `{}`; here underscores become spaces."""
    return template.replace("{}", classname.replace("_", " "))


def _shipped(name: str, dataset: Dataset) -> Sequence[str]:
    templates = json.loads(data_path("templates.json").read_text(encoding="utf-8"))
    if name == "dataset":
        return dataset.templates
    if name == "ensemble":
        return tuple(dict.fromkeys([*templates["seven"], *dataset.templates]))
    return tuple(templates[name])


def _filled(templates: Sequence[str], dataset: Dataset) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(fill(t, name) for t in templates) for name in dataset.classnames)


def _from_lines(text: str, dataset: Dataset, path: Path) -> tuple[tuple[str, ...], ...]:
    templates = [line.strip() for line in text.split("\n") if line.strip()]
    return _filled(_templates(templates, path), dataset)


def _from_json(text: str, dataset: Dataset, path: Path) -> tuple[tuple[str, ...], ...]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not JSON ({error}); mend it.") from None
    if isinstance(data, dict):
        per_class = _by_name(data, dataset, path)
    elif isinstance(data, list) and data and all(isinstance(entry, list) for entry in data):
        per_class = data
    elif isinstance(data, list):
        return _filled(_templates(data, path), dataset)
    else:
        raise ConfigError(f"{path} is neither a list nor an object of class names; see the docs.")
    if len(per_class) != len(dataset.classnames):
        raise ConfigError(
            f"{path} has prompts for {len(per_class)} classes, {dataset.name} has "
            f"{len(dataset.classnames)}; give one list a class, in label order."
        )
    return tuple(
        tuple(fill(prompt, name) for prompt in _prompts(listed, f"{path}, {name!r}"))
        for listed, name in zip(per_class, dataset.classnames, strict=True)
    )


def _by_name(data: dict[str, object], dataset: Dataset, path: Path) -> list[object]:
    # Description files write "sea_lake" and "sea lake" alike.
    spoken = {name.replace("_", " "): prompts for name, prompts in data.items()}
    asked = [name.replace("_", " ") for name in dataset.classnames]
    missing = [name for name in dict.fromkeys(asked) if name not in spoken]
    if missing:
        raise ConfigError(f"{path} has no prompts for {few(missing)}; add them.")
    return [spoken[name] for name in asked]


def _templates(listed: Sequence[object], path: Path) -> list[str]:
    templates = _prompts(listed, str(path))
    for template in templates:
        if "{}" not in template:
            raise ConfigError(f"{path}: {template!r} has no {{}} for the class name; add it.")
    return templates


def _prompts(listed: object, where: str) -> list[str]:
    if not isinstance(listed, Sequence) or isinstance(listed, str) or not listed:
        raise ConfigError(f"{where}: there should be a list of prompts; give at least one.")
    prompts: list[str] = []
    for prompt in listed:
        if not is_plain(prompt):
            raise ConfigError(f"{where}: {prompt!r} is not one line of text; write it so.")
        prompts.append(prompt)
    return prompts
