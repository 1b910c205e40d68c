"""Prompts of one's own for each class, in the forms that other projects write.

An object of class names to sentences (CuPL, arXiv 2209.03320; CaFo, arXiv 2303.02151), of label
numbers or class ids (wnids) to sentences, or a list of lists in label order; the lists may differ
in length. Descriptors
(Menon & Vondrick, arXiv 2210.07183) are phrases under class names and are filled in as their code
does. What one finds may lack classes: whoever asks decides what stands in for them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from featcache.datasets.checks import few, is_plain
from featcache.datasets.dataset import Dataset
from featcache.errors import ConfigError

Listed = tuple[tuple[str, ...], ...]  # by label; () where there is nothing for a class


@dataclass(frozen=True)
class Descriptions:
    """The texts of each class in label order, and what people should know of them."""

    texts: Listed
    notes: tuple[str, ...] = ()


def read(data: object, dataset: Dataset, where: str) -> Descriptions:
    """The texts that JSON content holds for the classes of a data set, unfilled.

    Raises `ConfigError` for content of no such form, or texts that are not one line each.
    """
    notes: tuple[str, ...] = ()
    if isinstance(data, Mapping):
        listed, notes = _keyed(data, dataset, where)
    elif isinstance(data, Sequence) and not isinstance(data, str):
        listed = list(data)
        if len(listed) != len(dataset.classnames):
            raise ConfigError(
                f"{where} has prompts for {len(listed)} classes, {dataset.name} has "
                f"{len(dataset.classnames)}; give one list a class, in label order."
            )
    else:
        raise ConfigError(f"{where} is neither a list nor an object of class names; see the docs.")
    texts = (
        lines(each, f"{where}, {name!r}", none=True)
        for each, name in zip(listed, dataset.classnames, strict=True)
    )
    return Descriptions(tuple(map(tuple, texts)), notes)


def lines(listed: object, where: str, none: bool = False) -> list[str]:
    """A list of texts of one line each, at least one unless there may be `none`.

    Raises `ConfigError` for anything else.
    """
    if isinstance(listed, str) or not isinstance(listed, Sequence) or not (listed or none):
        raise ConfigError(f"{where}: there should be a list of prompts; give at least one.")
    for text in listed:
        if not is_plain(text):
            raise ConfigError(f"{where}: {text!r} is not one line of text; write it so.")
    return list(listed)


def once(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    """An object of JSON, each key once: of two equal ones the first would be lost in silence."""
    counts = Counter(key for key, _ in pairs)
    if twice := [key for key, count in counts.items() if count > 1]:
        raise ValueError(
            f"{few(twice)} stand twice, of which one would be lost; classes of equal names need "
            "their numbers as keys, or lists in label order"
        )
    return dict(pairs)


def sentence(name: str, phrase: str) -> str:
    """A descriptor filled in: `hen, which has two legs`, word for word as its authors' code has it.

    That code looks at first letters alone, so that `aquatic` comes out as `which is aquatic`.
    """
    if phrase.startswith(("has", "often", "typically", "may", "can")):
        return f"{name}, which {phrase}"
    if phrase.startswith(("a", "used")):
        return f"{name}, which is {phrase}"
    return f"{name}, which has {phrase}"


def are_phrases(texts: Listed) -> bool:
    """Whether most look like descriptors: no sentences, and without a place for the name."""
    every = [text for mine in texts for text in mine]
    phrases = [t for t in every if t[:1].islower() and t[-1:] not in ".!?" and "{}" not in t]
    return 2 * len(phrases) > len(every)


def _keyed(
    data: Mapping[str, object], dataset: Dataset, where: str
) -> tuple[list[object], tuple[str, ...]]:
    """What stands under each class's own id or name, or else under its number, and notes."""
    ids = dataset.class_ids or [""] * len(dataset.classnames)
    named = _by_name(list(data), dataset.classnames)
    keys = [own if own in data else key for own, key in zip(ids, named, strict=True)]
    numbers = data and all(re.fullmatch(r"\d{1,9}", key) for key in data)
    if numbers and None in keys:
        return _numbered(data, dataset, where), ()
    notes = []
    counts = Counter(key for key in keys if key is not None)
    if shared := [key for key, count in counts.items() if count > 1]:
        notes.append(
            f"{where}: {few(shared)} name several classes each, which have the same prompts; keys "
            "that are label numbers, or lists in label order, tell them apart."
        )
    if others := [key for key in data if key not in counts]:
        notes.append(
            f"{where}: {len(others)} of its names are no classes here, such as {others[0]!r}."
        )
    return [() if key is None else data[key] for key in keys], tuple(notes)


def _by_name(keys: Sequence[str], classnames: Sequence[str]) -> list[str | None]:
    """The key of each class: its name, or the one that differs in capitals, `_` and blanks only."""
    spelt: dict[str, str | None] = {}
    for key in keys:
        plain = _plain(key)
        spelt[plain] = key if plain not in spelt else None  # two such keys: neither is meant
    known = set(keys)
    return [name if name in known else spelt.get(_plain(name)) for name in classnames]


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").casefold().split())


def _numbered(data: Mapping[str, object], dataset: Dataset, where: str) -> list[object]:
    classes = len(dataset.classnames)
    by_label = {int(key): value for key, value in data.items()}
    if beyond := [str(label) for label in by_label if label >= classes]:
        raise ConfigError(
            f"{where} has prompts for the label {beyond[0]}, {dataset.name} has {classes} "
            "classes; number them from 0 in label order."
        )
    return [by_label.get(label, ()) for label in range(classes)]
