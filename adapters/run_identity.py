"""What makes a run the same run, so that none is done twice: features, words and code."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.compose import get
from adapters.episode import NEGATIVE_PROMPTS
from adapters.experiment import Configured, configured
from adapters.expression import leaves, parts
from adapters.registry import HERE, file, task_file
from featcache.store.entry import POOL

if TYPE_CHECKING:
    from adapters.experiment import Experiment
    from adapters.method import Method
    from featcache.store.entry import Entry


def run_id(entry: Entry, experiment: Experiment) -> str:
    """Hash of features, task, draw, method, settings as asked for, policy and code.

    Settings count in full, with the defaults filled in, so that a default that is spelt out is no
    other run. A setting that was given and that the policy would else have chosen is: the policy
    leaves it alone. Raises `UnknownNameError` or `ConfigError` for settings the method refuses.
    """
    return id_of(entry, configured(experiment))


def id_of(entry: Entry, known: Configured) -> str:
    """The same of an experiment whose words have been read."""
    experiment = known.experiment
    chosen = set(known.searched) if experiment.policy != "none" else set()
    transfer = experiment.transfer
    identity = {
        "features": features(entry, experiment),
        "transfer": transfer and features(transfer, experiment),
        "task": experiment.task,
        "shots": experiment.shots,
        "draw": experiment.drawn,
        "seed": experiment.seed,
        "method": experiment.method,
        "config": asdict(known.config),
        "fixed": sorted(known.fixed & chosen),
        "policy": experiment.policy,
        "code": code_version(experiment.method, experiment.task),
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


@cache
def code_version(method: str, task: str) -> str:
    """Hash of the sources that a run's numbers come from, so that a changed one is a new run.

    It covers the files of the method and the task and every module of `adapters` that they import,
    directly or not: mathematics, contracts and draws; for an expression those of all its parts and
    `compose`. It covers neither the choice of settings by `selection` nor other packages.
    """
    files = {task_file(task), *(file(leaf) for leaf in leaves(method))}
    if parts(method) != [method]:
        files.add(HERE / "compose.py")
    while found := {path for each in files for path in _imports(each)} - files:
        files |= found
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


@cache
def _imports(path: Path) -> frozenset[Path]:
    """The files of the modules of `adapters` that a source file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            module = (node.module or "").split(".")
            modules = [module] + [[*module, alias.name] for alias in node.names]
        elif isinstance(node, ast.Import):
            modules = [alias.name.split(".") for alias in node.names]
        else:
            continue
        below = [inner for top, *inner in modules if top == "adapters"]
        found |= {HERE.joinpath(*inner).with_suffix(".py") for inner in below if inner}
    return frozenset(each for each in found if each.is_file())
