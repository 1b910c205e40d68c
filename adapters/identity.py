"""What makes a run the same run, so that none is done twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from adapters.configure import configure, field_of
from adapters.episode import NEGATIVE_PROMPTS, POOL
from adapters.registry import code_version, get

if TYPE_CHECKING:
    from adapters.experiment import Experiment
    from adapters.method import Method
    from featcache.cache import Entry


def run_id(entry: Entry, experiment: Experiment, task: str = "few-shot") -> str:
    """Hash of features, task, draw, method, settings as asked for, policy and code.

    Settings count in full, with the defaults filled in, so that a default that is spelt out is no
    other run. A setting that was given and that the policy would else have chosen is: the policy
    leaves it alone. Raises `UnknownNameError` or `ConfigError` for settings the method refuses.
    """
    method = get(experiment.method)
    config, fixed = configure(experiment.method, method, experiment.settings)
    chosen = set(searched(method, config)) if experiment.policy != "none" else set()
    transfer = experiment.transfer
    identity = {
        "features": features(entry, experiment),
        "transfer": transfer and features(transfer, experiment),
        "task": task,
        "shots": experiment.shots,
        "seed": experiment.seed,
        "method": experiment.method,
        "config": asdict(config),
        "fixed": sorted(fixed & chosen),
        "policy": experiment.policy,
        "code": code_version(experiment.method),
    }
    text = json.dumps(identity, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def features(entry: Entry, experiment: Experiment) -> list[Any]:
    """The entry's key, the prompts' shard, the newest views, how many of them are used, extras."""
    texts = entry.manifest["texts"]
    bank = experiment.bank or (entry.banks[-1] if entry.banks else "")
    sets = {} if POOL in entry.splits else entry.manifest["view_sets"].get("train", {})
    name = list(sets)[-1] if sets and experiment.views != 0 else None
    views = experiment.views if name else 0
    if name and views is not None and views >= sets[name]["count"]:
        views = None  # as many as there are
    return [entry.key, texts.get(bank), name, views, *_extras(entry, get(experiment.method))]


def _extras(entry: Entry, method: Method) -> Iterator[str]:
    """What the method reads beside embeddings, as far as it is cached."""
    yield from sorted(method.extras & {*entry.extras})
    if NEGATIVE_PROMPTS in method.reads | method.needs:
        yield from (entry.manifest["texts"][bank] for bank in entry.negative_banks[-1:])


def searched(method: Method, config: Any) -> Iterator[str]:
    """The fields that a policy chooses; those of a part with the part's field before a dot."""
    space = method.space(config)
    yield from (*space.fit, *space.logits)
    for part, inner in method.parts.items():
        name = field_of(part)
        for field in searched(inner, getattr(config, name)):
            yield f"{name}.{field}"
