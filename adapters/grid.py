"""A grid in words becomes runs: every one checked before the first of them starts.

    method, dataset, backbone, shots, seed, policy, task, prompts, views, transfer, set

Each word takes one value or a list; the runs are all combinations. A setting is written with the
name of its method (`fma.blocks`), or without one, and then goes to every method that has it.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.configure import literal
from adapters.experiment import Experiment
from adapters.identity import features, run_id
from adapters.method import choices, refuse_new_classes
from adapters.ranges import span
from adapters.registry import get, leaves, names, with_base
from adapters.selection import POLICIES
from featcache.errors import ConfigError, UnknownNameError

if TYPE_CHECKING:
    from featcache.cache import Entry, FeatureCache

TASKS = ("few-shot", "base-to-new")
WORDS = (
    "method", "dataset", "backbone", "shots", "seed", "policy", "task", "prompts", "views",
    "transfer", "set",
)  # fmt: skip
ALL = "all"  # as a method: every one that can do the task
DEFAULT = "default"  # as a preset: none

Values = Any  # one value or a list of them
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


@dataclass(frozen=True)
class Cell:
    """What a draw depends on: runs of one cell share it."""

    features: tuple[Any, ...]
    shots: int
    seed: int
    task: str
    entry: Entry = field(compare=False, repr=False)
    bank: str | None = field(compare=False)
    views: int | None = field(compare=False)
    extras: frozenset[str] = field(compare=False)


@dataclass(frozen=True)
class Run:
    """One experiment on a cache entry, and the id that its row will have."""

    id: str
    entry: Entry = field(repr=False)
    experiment: Experiment
    task: str = TASKS[0]

    @property
    def cell(self) -> Cell:
        """The draw that the run needs."""
        e = self.experiment
        about = (str(self.entry.folder), *features(self.entry, e))
        extras = get(e.method).extras
        return Cell(about, e.shots, e.seed, self.task, self.entry, e.bank, e.views, extras)


def grid(
    cache: FeatureCache,
    *,
    method: Values = "fma",
    dataset: Values = None,
    backbone: Values = None,
    shots: Values = 16,
    seed: Values = 1,
    policy: Values = "few-shot-val",
    task: Values = TASKS[0],
    prompts: Values = None,
    views: Values = None,
    transfer: Values = None,
    settings: Mapping[str, Values] | None = None,
    combine: Combine = every,
) -> list[Run]:
    """All runs of a grid over entries of the cache, each once, in a stable order.

    Every argument takes one value or a list; those left out are as in `adapters fit`. `combine`
    says which settings of a method come of the values given for each. Raises
    `UnknownNameError`, `ConfigError`, `MethodError` or `CacheError` for whatever cannot be run.
    """
    axes = {key: listed(values) for key, values in (settings or {}).items()}
    tasks = [_known("task", each, TASKS) for each in listed(task)]
    policies = [_known("policy", each, POLICIES) for each in listed(policy)]
    numbers = [_numbers("shots", shots, 1), _numbers("seed", seed, 0)]
    wanted = [*spread(_methods(listed(method), tasks), axes, combine)]
    found: dict[str, Run] = {}
    for data, tower in itertools.product(listed(dataset), listed(backbone)):
        entry = cache.find(data, tower)
        source = cache.find(_one("transfer", transfer), entry.backbone) if transfer else None
        for each, bank, kept, rule, k, s, (name, chosen) in itertools.product(
            tasks, listed(prompts), listed(views), policies, *numbers, wanted
        ):
            if rule == "transfer" and source is None:
                raise ConfigError(
                    "policy transfer needs the data set to take settings from (--transfer)."
                )
            other = source if rule == "transfer" else None
            experiment = Experiment(name, k, s, rule, chosen, bank, kept, other)
            run = Run(run_id(entry, experiment, each), entry, experiment, each)
            found.setdefault(run.id, run)
    return [*found.values()]


def union(
    cache: FeatureCache, path: Path | None, words: Mapping[str, Any], combine: Combine = every
) -> list[Run]:
    """The runs of all blocks of a grid file, or of none; `words` stand in place of the file's own.

    Raises what `read` and `grid` raise.
    """
    found: dict[str, Run] = {}
    for block in read(path) if path else [{}]:
        settings = {**block.get("settings", {}), **words.get("settings", {})}
        for run in grid(cache, **{**block, **words, "settings": settings}, combine=combine):
            found.setdefault(run.id, run)
    return [*found.values()]


def read(path: Path) -> list[dict[str, Any]]:
    """The blocks of a grid file: keywords of `grid` each, words that stand above them included.

    Raises `ConfigError` where the file is none, `UnknownNameError` for a word it does not know.
    """
    import yaml

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"the grid file {path} cannot be read: {reason}.") from None
    if not isinstance(document, dict):
        raise ConfigError(f"the grid file {path} holds no `word: values` lines.")
    shared = {key: value for key, value in document.items() if key != "grids"}
    blocks = document.get("grids", [{}])
    if not (isinstance(blocks, list) and all(isinstance(block, dict) for block in blocks)):
        raise ConfigError(f"`grids` in {path} is not a list of blocks of `word: values` lines.")
    return [_keywords(path, shared, block) for block in blocks]


def typed(text: str) -> list[Any]:
    """Values as typed on the command line: `2,6,12`, or JSON lists `[1,2],[3,4]`."""
    try:
        return list(json.loads(f"[{text}]"))
    except ValueError:
        return [literal(part.strip()) for part in text.split(",")]


def axes(pairs: Sequence[str]) -> dict[str, list[Any]]:
    """`key=value,value` pairs as a mapping.

    Raises `ConfigError` for a pair without `=`.
    """
    split = [pair.partition("=") for pair in pairs]
    for pair, (key, equals, _) in zip(pairs, split, strict=True):
        if not equals or not key:
            raise ConfigError(f"--set takes key=value or key=value,value, got {pair!r}.")
    return {key.strip(): typed(values) for key, _, values in split}


def _keywords(path: Path, shared: Mapping[str, Any], block: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**shared, **block}
    for word in merged:
        _known(f"word in {path}", str(word), (*WORDS, "grids"))
    settings: dict[str, Any] = {}
    for each in (shared.get("set"), block.get("set")):
        if not isinstance(each, dict | None):
            raise ConfigError(f"`set` in {path} takes `setting: values` lines, not {each!r}.")
        settings |= each or {}
    # YAML reads 1e-3 as text; the command line reads it as a number, and so does a grid file.
    numbers = {str(k): [_number(value) for value in listed(v)] for k, v in settings.items()}
    return {**{k: v for k, v in merged.items() if k != "set"}, "settings": numbers}


def _number(value: Any) -> Any:
    return literal(value) if isinstance(value, str) else value


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
            _known("preset", str(value), {DEFAULT, *known})


def _presets(leaf: str, wanted: Sequence[Any]) -> list[str | None]:
    """Those of the presets that the method has, `default` as None; None alone where it has none."""
    own = [value for value in wanted if value in get(leaf).presets or value == DEFAULT]
    return [None if value == DEFAULT else value for value in own] or [None]


def _methods(wanted: Sequence[Any], tasks: Sequence[str]) -> list[str]:
    """The methods by name; `all` is every one that can do the tasks.

    Raises `MethodError` for a method asked for by name that cannot take new classes.
    """
    able = [n for n in names() if "base-to-new" not in tasks or get(n).with_text is not None]
    found = [n for each in wanted for n in (able if each == ALL else [str(each)])]
    if "base-to-new" in tasks:
        for name in found:
            if get(name).with_text is None:
                raise refuse_new_classes(name)
    return [*dict.fromkeys(found)]


def _known(kind: str, name: Any, known: Iterable[str]) -> str:
    if name not in (known := tuple(known)):
        raise UnknownNameError(kind, str(name), known)
    return str(name)


def _one(word: str, values: Values) -> str:
    found = listed(values)
    if len(found) != 1:
        raise ConfigError(f"{word} takes one name, got {len(found)}.")
    return str(found[0])


def _numbers(word: str, values: Values, least: int) -> list[int]:
    found = listed(values)
    for value in found:
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ConfigError(f"{word} must be whole numbers of at least {least}, got {value!r}.")
    return found


def listed(values: Values) -> list[Any]:
    """The values as a list, if they are not one already.

    Raises `ConfigError` for a list of none.
    """
    found = list(values) if isinstance(values, list | tuple | range) else [values]
    if not found:
        raise ConfigError("a word or setting of the grid has no values; give one or leave it out.")
    return found
