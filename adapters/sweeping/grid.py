"""A grid in words becomes runs: every one checked before the first of them starts."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters import registry, targets
from adapters.ability import check, check_entry, refusal, usual
from adapters.experiment import Experiment, configured
from adapters.run_identity import id_of
from adapters.sweeping.lacking import lacking
from adapters.sweeping.runs import Run
from adapters.sweeping.settings import Combine, every, spread
from adapters.sweeping.words import Values, listed, named, names, numbers, read, some_shots
from featcache import drawn
from featcache.draws import ALL as EVERY
from featcache.draws import BALANCED, KINDS
from featcache.errors import ConfigError

if TYPE_CHECKING:
    from featcache.store.cache import FeatureCache
    from featcache.store.entry import Entry

ALL = "all"  # as a method: every one that can do the task with what is cached


@dataclass(frozen=True)
class Grid:
    """The words of a grid, each with one value or a list; those left out are as in `adapters fit`.

    `method="all"` is every method that can do a task with what is cached. `on` are the sets that
    each run of a task with other sets is scored on, all of them together. `settings` are by method
    and field, or by field alone.
    """

    method: Values = "fma"
    dataset: Values = None
    backbone: Values = None
    shots: Values = None
    draw: Values = BALANCED
    seed: Values = 1
    policy: Values = None
    task: Values = "few-shot"
    on: Values = None
    prompts: Values = None
    text: Values = None
    views: Values = None
    transfer: Values = None
    settings: Mapping[str, Values] = field(default_factory=dict)


def grid(cache: FeatureCache, combine: Combine = every, **words: Values) -> list[Run]:
    """All runs of the `Grid` of these words over entries of the cache, each once, in stable order.

    `combine` says which settings of a method come of the values given for each. Raises
    `UnknownNameError`, `ConfigError`, `MethodError` or `CacheError` for whatever cannot be run.
    """
    asked = Grid(**words)
    axes = {key: listed(values) for key, values in asked.settings.items()}
    tasks = [named("task", each, registry.task_names()) for each in listed(asked.task)]
    policies = [each and named("policy", each, registry.POLICIES) for each in listed(asked.policy)]
    counts = [
        [None] if asked.shots is None else some_shots(asked.shots),
        numbers("seed", asked.seed, 0),
    ]
    texts = names("text", asked.text)
    kinds = [drawn.way(str(each)) for each in listed(asked.draw)]
    banks = names("prompts", asked.prompts)
    views_used = numbers("views", asked.views, 0, usual=True)
    wanted = [*spread(_methods(listed(asked.method), tasks, texts), axes, combine)]
    every_able = ALL in listed(asked.method)
    on = _on(asked.on, tasks)
    found: dict[str, Run] = {}
    for data, backbone in itertools.product(
        names("dataset", asked.dataset), names("backbone", asked.backbone)
    ):
        entry = cache.find(data, backbone)
        source = _source(cache, asked.transfer, entry)
        others = {task: targets.find(cache, entry, task, on[task]) for task in tasks}
        for task, bank, text, views, asked_policy, kind, count, seed, (
            name,
            settings,
        ) in itertools.product(tasks, banks, texts, views_used, policies, kinds, *counts, wanted):
            if every_able and not able(name, task, text):
                continue
            if every_able and lacking(entry, others[task], task, name, views):
                continue
            # Of a file all that it lists.
            shots, policy = usual(task, count if kind in KINDS else EVERY, asked_policy)
            if policy == "transfer" and source is None:
                raise ConfigError(
                    "policy transfer needs the data set to take settings from (--transfer)."
                )
            other = source if policy == "transfer" else None
            experiment = Experiment(
                name, shots, seed, policy, settings, bank, views, other, task, kind, others[task],
                text,
            )  # fmt: skip
            check(experiment)
            known = configured(experiment)
            for read_from in (entry, *([other] if other else [])):
                check_entry(read_from, known)
            run = Run(id_of(entry, known), entry, experiment)
            found.setdefault(run.id, run)
    return [*found.values()]


def able(method: str, task: str, text: str | None = None) -> bool:
    """Whether a method can do a task."""
    return refusal(method, task, text) is None


def _on(asked: Values, tasks: Sequence[str]) -> dict[str, list[str] | None]:
    """The other sets of each task by name, None where custom says which.

    Raises `ConfigError` where sets are named and none of the tasks takes any.
    """
    given = [str(name) for name in names("on", asked) if name is not None]
    taking = [task for task in tasks if registry.task(task).others is not None]
    if given and not taking:
        raise targets.refuse_on(tasks[0])
    return {task: given if given and task in taking else None for task in tasks}


def left_out(path: Path | None, words: Mapping[str, Any]) -> dict[str, list[str]]:
    """The methods that `all` leaves out of a task, by task.

    Raises what `read` raises.
    """
    found: dict[str, list[str]] = {}
    for block in read(path) if path else [{}]:
        asked = {**block, **words}
        for task in listed(asked.get("task", Grid.task)):
            if ALL in listed(asked.get("method", Grid.method)):
                texts = names("text", asked.get("text"))
                unable = _unable(str(task), texts)
                found |= {str(task): unable} if unable else {}
    return found


def without(
    cache: FeatureCache, path: Path | None, words: Mapping[str, Any]
) -> dict[str, dict[str, str]]:
    """By entry the methods that `all` leaves out there, and what the entry lacks for each.

    Raises what `read` and `FeatureCache.find` raise.
    """
    found: dict[str, dict[str, str]] = {}
    for block in read(path) if path else [{}]:
        asked = Grid(**{k: v for k, v in {**block, **words}.items() if k != "settings"})
        if ALL not in listed(asked.method):
            continue
        tasks = [str(each) for each in listed(asked.task)]
        on = _on(asked.on, tasks)
        for data, backbone, task, text, views in itertools.product(
            names("dataset", asked.dataset),
            names("backbone", asked.backbone),
            tasks,
            names("text", asked.text),
            listed(asked.views),
        ):
            entry = cache.find(data, backbone)
            others = targets.find(cache, entry, task, on[task])
            for name in (each for each in registry.names() if able(each, task, text)):
                if why := lacking(entry, others, task, name, views):
                    found.setdefault(entry.key, {})[name] = why
    return found


def _unable(task: str, texts: Sequence[str | None]) -> list[str]:
    every = registry.names()
    return [name for name in every if not any(able(name, task, text) for text in texts)]


def union(
    cache: FeatureCache, path: Path | None, words: Mapping[str, Any], combine: Combine = every
) -> list[Run]:
    """The runs of all blocks of a grid file, or of none; `words` stand in place of the file's own.

    Raises what `read` and `grid` raise.
    """
    found: dict[str, Run] = {}
    for block in read(path) if path else [{}]:
        settings = {**block.get("settings", {}), **words.get("settings", {})}
        for run in grid(cache, combine, **{**block, **words, "settings": settings}):
            found.setdefault(run.id, run)
    return [*found.values()]


def _source(cache: FeatureCache, transfer: Values, entry: Entry) -> Entry | None:
    """The entry that settings are taken from, of the same backbone; None where none is named."""
    if not transfer:
        return None
    found = names("transfer", transfer)
    if len(found) != 1:
        raise ConfigError(f"transfer takes one name, got {len(found)}.")
    return cache.find(found[0], entry.backbone)


def _methods(wanted: Sequence[Any], tasks: Sequence[str], texts: Sequence[str | None]) -> list[str]:
    """The methods by name; `all` is every one that can do one of the tasks.

    Raises `MethodError` for a method asked for by name that cannot do one of them.
    """
    pairs = [*itertools.product(tasks, texts)]
    every = [name for name in registry.names() if any(able(name, *pair) for pair in pairs)]
    for name in (str(each) for each in wanted if each != ALL):
        for pair in pairs:
            if refused := refusal(name, *pair):
                raise refused
    found = [name for each in wanted for name in (every if each == ALL else [str(each)])]
    return [*dict.fromkeys(found)]
