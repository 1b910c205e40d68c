"""Which of a grid's settings concern which method, and in which combinations they are tried.

A setting is written with the name of its method (`fma.blocks`), or without one, and then goes to
every method that has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from adapters.compose import get
from adapters.expression import leaves, with_base
from adapters.method import choices
from adapters.sweeping.space import span
from adapters.sweeping.words import named
from featcache.errors import ConfigError, UnknownNameError

DEFAULT = "default"  # as a preset: none

Axes = Mapping[str, Sequence[Any]]
Combine = Callable[[str, Axes], Iterable[dict[str, Any]]]


def every(name: str, axes: Axes) -> Iterable[dict[str, Any]]:
    """Every combination of a method's settings.

    Raises `ConfigError` for a range, which has no end of them.
    """
    for key, values in axes.items():
        if any(span(value) for value in values):
            raise ConfigError(f"{name}: {key} is a range; add --search random or tpe to sample it.")
    return choices(axes)


def spread(
    methods: Iterable[str], settings: Axes, combine: Combine = every
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each method with the combinations of the settings that concern it.

    Raises `UnknownNameError` for a setting, or a preset, that none of the methods has.
    """
    expressions = [each for name in methods for each in _on_bases(name, settings)]
    others = {key: values for key, values in settings.items() if not _is_base(key)}
    concerned = {name: _concerning(name, others) for name in expressions}
    used = {key for axes in concerned.values() for _, key in axes}
    known = [key for name in expressions for leaf in leaves(name) for key in _keys(leaf)]
    for key in others:
        if key not in used:
            raise UnknownNameError("setting", key, {*known, *(k.partition(".")[2] for k in known)})
    _check_presets(expressions, others)
    for name, axes in concerned.items():
        values = {target: others[key] for target, key in axes}
        for target in values:
            if target.rpartition(".")[2] == "preset":
                values[target] = _presets(target.rpartition(".")[0] or name, values[target])
        for choice in combine(name, values):
            # The preset "default" is no setting.
            yield name, {k: v for k, v in choice.items() if v is not None}


def _on_bases(name: str, settings: Axes) -> list[str]:
    """The method on each of the bases that `base` or `NAME.base` asks for."""
    found = [name]
    for key in filter(_is_base, settings):
        owner = key.rpartition(".")[0] or name
        if owner not in leaves(name):
            continue
        found = [
            each if base in (None, "none") else with_base(each, owner, str(base))
            for each in found
            for base in settings[key]
        ]
    return found


def _is_base(key: str) -> bool:
    return key.rpartition(".")[2] == "base"


def _concerning(name: str, settings: Axes) -> list[tuple[str, str]]:
    """Settings of the method as its config wants them written, with the key that gives each."""
    found = []
    for leaf in leaves(name):
        for key in _keys(leaf):
            bare = key.partition(".")[2]
            given = key if key in settings else bare
            if given in settings:
                found.append((bare if leaf == name else key, given))
    return found


def _keys(leaf: str) -> list[str]:
    """The settings of a plain method, with its name before a dot."""
    own = [f"{leaf}.{each.name}" for each in fields(get(leaf).config)]
    return [*own, f"{leaf}.preset"] if get(leaf).presets else own


def _check_presets(expressions: Sequence[str], settings: Axes) -> None:
    for key in settings:
        owner, _, word = key.rpartition(".")
        if word != "preset":
            continue
        among = [leaf for name in expressions for leaf in leaves(name) if owner in ("", leaf)]
        known = {preset for leaf in among for preset in get(leaf).presets}
        for value in settings[key]:
            named("preset", str(value), {DEFAULT, *known})


def _presets(leaf: str, wanted: Sequence[Any]) -> list[str | None]:
    """Those of the presets that the method has, `default` as None; None alone where it has none."""
    own = [value for value in wanted if value in get(leaf).presets or value == DEFAULT]
    return [None if value == DEFAULT else value for value in own] or [None]
