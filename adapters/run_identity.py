"""What makes a run the same run, so that none is done twice: features, words and code."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.compose import get
from adapters.episode import NEGATIVE_PROMPTS, TEXT_TOWER
from adapters.experiment import Configured, configured
from adapters.expression import leaves, parts
from adapters.reading.kept_tower import kept
from adapters.registry import HERE, file, task, task_file
from featcache.store.entry import POOL, PRE_PROJECTION
from featcache.store.sameness import data_id
from featcache.store.support import KIND as SUPPORT

if TYPE_CHECKING:
    from adapters.experiment import Experiment
    from featcache.store.entry import Entry

Key = tuple[str, str | None, str | None]  # kind, split and view set of shards


def run_id(entry: Entry, experiment: Experiment) -> str:
    """Hash of names, features, task, draw, method, settings as asked for, policy and code.

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
        # Its rows say these names, so that whoever asks for them finds it.
        "names": [entry.dataset, entry.backbone, transfer and transfer.dataset],
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
    if experiment.text:
        identity["text"] = experiment.text
    if experiment.on:  # in any order
        identity["on"] = sorted(beside(experiment))
    text = json.dumps(identity, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def beside(experiment: Experiment) -> list[list[Any]]:
    """What the scores on each of the other sets depend on, and the name that their rows say."""
    new, extras = task(experiment.task).new_classes, get(experiment.method).extras
    bank = experiment.bank
    return [[on.dataset, *target_features(on, extras, new, bank)] for on in experiment.on]


def target_features(
    entry: Entry,
    extras: Iterable[str],
    with_text: bool,
    bank: str | None,
    split: str = "test",
) -> list[str]:
    """What a score on another set depends on: its classes, and digests of what is read of it.

    That are the pictures of the split and their extras, or those of the pool where there are no
    splits, and with text the prompts.
    """
    known = _digests(_Held(entry))
    part = POOL if POOL in entry.splits else split
    keys: list[Key] = [(kind, part, None) for kind in ("images", *sorted({*extras}))]
    read = [f"{key[0]} {known[key]}" for key in keys if key in known]
    prompts = [str(_prompts(entry, bank))] if with_text else []
    return [known["classes", None, None], str(entry.logit_scale), *prompts, *read]


def features(entry: Entry, experiment: Experiment) -> list[Any]:
    """What the features are that a run reads: digests of shards, and how many views it asks for.

    They are those of the pictures, the prompts, the views, the extras and the classes. Where the
    entry lies is none of it, and nothing is read but its manifest.
    """
    known, method = _digests(_Held(entry)), get(experiment.method)
    shown = experiment.text or not task(experiment.task).texts
    prompts = [_prompts(entry, experiment.bank)] if shown else []
    if experiment.text or (shown and NEGATIVE_PROMPTS in method.reads | method.needs):
        prompts += [_prompts(entry, bank) for bank in entry.negative_banks[-1:]]
    sets, views = _views(entry, experiment, known)
    keys: list[Key] = [("views", "train", name) for name in sets]
    for extra in sorted(method.extras):
        keys += [(extra, split, None) for split in sorted(entry.splits)]
        keys += [(extra, "train", name) for name in sets]
    if PRE_PROJECTION in method.extras:
        keys.append(("projection", None, None))
    read = [f"{key[0]} {known[key]}" for key in keys if key in known]
    if TEXT_TOWER in method.needs or (TEXT_TOWER in method.reads and kept(entry)):
        read.append(f"{TEXT_TOWER} {entry.spoken_by}")
    return [*pictures(entry), *prompts, views, *read]


def _prompts(entry: Entry, bank: str | None) -> str | None:
    """The digest of a bank's shard, by default of the newest; None where it is not there."""
    name = entry.manifest["texts"].get(bank or "".join(entry.banks[-1:]))
    found: str | None = entry.manifest["shards"].get(name, {}).get("sha256")
    return found


def pictures(entry: Entry) -> list[Any]:
    """What every run on an entry reads: classes, logit scale, and digests of all pictures."""
    known = _digests(_Held(entry))
    images = [f"{split} {known.get(('images', split, None))}" for split in sorted(entry.splits)]
    # Support sets of an entry that has nothing else to train on; others' ids stay what they were.
    sets = [f"{key[1]} {key[2]} {known[key]}" for key in known if key[0] == SUPPORT]
    return [known["classes", None, None], entry.logit_scale, *images, *sorted(sets)]


def told(entry: Entry, experiment: Experiment) -> dict[str, str]:
    """What a row says of its features, each as six hex digits: whose numbers may stand beside it.

    `data` are classes and pictures whatever the backbone, `images` what every run on the entry
    reads, and `features` all that this one reads, with those that its settings come from.
    """
    source = experiment.transfer
    read = [features(entry, experiment), source and features(source, experiment)]
    return {"data": data_id(entry), "images": _brief(pictures(entry)), "features": _brief(read)}


def _brief(what: Any) -> str:
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:6]


def _views(
    entry: Entry, experiment: Experiment, known: Mapping[Key, str]
) -> tuple[list[str], int | None]:
    """The view sets that a draw looks into, the newest first, and how many views it takes.

    None is as many as there are. Which set has the rows that are drawn is not known before they
    are, so that all of them count.
    """
    if POOL in entry.splits or experiment.views == 0:
        return [], 0
    if "train" not in entry.splits and entry.supports:  # their views lie with them
        return [], experiment.views
    listed = entry.manifest["view_sets"].get("train", {})
    sets = {name: listed[name] for name in reversed(listed) if ("views", "train", name) in known}
    if not sets:
        return [], 0
    most = max(each.get("count", 0) for each in sets.values())
    asked = experiment.views
    return [*sets], None if asked is None or asked >= most else asked


class _Held:
    """An entry by its identity, for a manifest is a mapping and has no hash."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry

    def __hash__(self) -> int:
        return id(self.entry.manifest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held) and self.entry.manifest is other.entry.manifest


@lru_cache(maxsize=32)
def _digests(held: _Held) -> dict[Key, str]:
    """A digest of the shards of each kind, split and view set, and of the class names.

    It is kept, as a large entry has thousands of shards and a sweep asks for each of its runs.
    """
    manifest = held.entry.manifest
    found: dict[Key, list[Any]] = {("classes", None, None): list(held.entry.classnames)}
    for _, record in sorted(manifest["shards"].items()):
        key = (record["kind"], record.get("split"), record.get("set"))
        found.setdefault(key, []).append([record.get("start"), record["sha256"]])
    return {
        key: hashlib.sha256(json.dumps(each).encode()).hexdigest() for key, each in found.items()
    }


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
