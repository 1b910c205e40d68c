"""One experiment from a cache entry to an adapter and a result row."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import Any

import torch

from adapters.adapter import Adapter
from adapters.configure import configure
from adapters.episode import NEGATIVE_PROMPTS, VIEWS, BaseToNew, Draw, base_to_new, draw
from adapters.evaluate import accuracy, harmonic_mean
from adapters.identity import run_id
from adapters.method import Fit, Method, refuse_new_classes
from adapters.registry import code_version, get, with_base
from adapters.selection import Chosen, select, validation
from featcache.cache import PATCHES, PRE_PROJECTION, Entry
from featcache.errors import ConfigError, MethodError

# The option of `featcache encode` that caches what a method may need.
ADDED_BY = {
    VIEWS: "--views 20",
    PRE_PROJECTION: f"--extra {PRE_PROJECTION}",
    PATCHES: f"--extra {PATCHES}",
    NEGATIVE_PROMPTS: "--prompts negative",
}


@dataclass(frozen=True)
class Experiment:
    """What is to be fitted: a method with settings, on a draw, under a policy.

    `views` limits the cached views a picture (None: all). `transfer` is the entry whose
    validation chooses under policy `transfer`.
    """

    method: str = "fma"
    shots: int = 16
    seed: int = 1
    policy: str = "few-shot-val"
    settings: Mapping[str, Any] = field(default_factory=dict)
    bank: str | None = None
    views: int | None = None
    transfer: Entry | None = None


@dataclass(frozen=True)
class Outcome:
    """A fitted adapter and the row that says how it did on the test split."""

    adapter: Adapter
    row: dict[str, Any]


def run(
    entry: Entry, experiment: Experiment, drawn: Draw | None = None, fit: Fit | None = None
) -> Outcome:
    """Draw, fit, choose by the policy, and score on the test split.

    `drawn` may be given where several experiments share a draw; it is drawn again for a method that
    reads cached features which it does not have. `fit` may be given where another function than the
    method's own knows the states. Raises the errors of the rooms it passes through.
    """
    # A wrong name or setting is told before anything is read.
    experiment, method, _, _ = _configured(experiment)
    if drawn is None or _lacks(drawn, method, entry):
        drawn = draw_for(entry, experiment)
    return _run(entry, experiment, drawn, fit)


def _run(entry: Entry, experiment: Experiment, drawn: Draw, fit: Fit | None) -> Outcome:
    experiment, method, config, fixed = _configured(experiment)
    method = replace(method, fit=fit) if fit else method
    check_needs(experiment.method, drawn)
    began = time.perf_counter()
    chosen = _choose(experiment, method, config, fixed, drawn)
    fitted = time.perf_counter()
    with torch.inference_mode():
        logits = method.answer(chosen.state, chosen.config, drawn.test.query, drawn.episode.classes)
    done = time.perf_counter()
    row = {
        "run": run_id(entry, experiment, drawn.episode.task),
        "dataset": entry.dataset,
        "backbone": entry.backbone,
        "task": drawn.episode.task,
        "method": experiment.method,
        "policy": experiment.policy,
        "shots": experiment.shots,
        "seed": experiment.seed,
        "accuracy": accuracy(logits, drawn.test.labels),
        "n_test": len(drawn.test.labels),
        "fit_seconds": fitted - began,
        "predict_seconds": done - fitted,
        "transductive": method.transductive,
        "bank": experiment.bank or entry.banks[-1],
        "views": drawn.episode.support.views.shape[0] - 1,
        "extras": sorted((method.reads | method.needs) & drawn.episode.holds - {VIEWS}),
        "entry": entry.key,
        "fingerprint": entry.manifest["backbone"]["fingerprint"],
        "settings": dict(experiment.settings),
        "config": asdict(chosen.config),
        "val_score": chosen.score,
        "tried": chosen.tried,
        "code": code_version(experiment.method),
        "transfer": experiment.transfer and experiment.transfer.key,
        "versions": _versions(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }  # fmt: skip
    keys = ("dataset", "backbone", "entry", "fingerprint", "bank", "task", "shots", "seed", "views",
            "extras", "policy", "versions")  # fmt: skip
    about = {key: row[key] for key in keys}
    about["width"] = drawn.episode.support.views.shape[-1]
    about["logit_scale"] = entry.logit_scale
    about["support"] = list(drawn.episode.support.ids)
    names = drawn.episode.text.classnames
    return Outcome(Adapter(experiment.method, chosen.config, chosen.state, names, about), row)


def run_base_to_new(
    entry: Entry,
    experiment: Experiment,
    drawn: BaseToNew | None = None,
    fit: Fit | None = None,
) -> Outcome:
    """Fit on the first half of the classes; score both halves, each among its own names.

    The row's `accuracy` is that of the base classes; `new_accuracy` and `harmonic_mean` stand
    beside it. Raises `MethodError` before fitting where the method cannot take new names.
    """
    experiment, method, _, _ = _configured(experiment)
    if method.with_text is None:
        raise refuse_new_classes(experiment.method)
    if drawn is None or _lacks(drawn.base, method, entry):
        drawn = base_to_new(
            entry,
            experiment.shots,
            experiment.seed,
            bank=experiment.bank,
            views=experiment.views,
            extras=method.extras,
        )
    outcome = _run(entry, experiment, drawn.base, fit)
    renamed = outcome.adapter.with_text(drawn.text)
    new = accuracy(renamed.logits(drawn.test.query), drawn.test.labels)
    mean = harmonic_mean(outcome.row["accuracy"], new)
    return Outcome(outcome.adapter, {**outcome.row, "new_accuracy": new, "harmonic_mean": mean})


def fit(
    entry: Entry,
    method: str = "fma",
    *,
    shots: int = 16,
    seed: int = 1,
    policy: str = "few-shot-val",
    bank: str | None = None,
    views: int | None = None,
    transfer: Entry | None = None,
    **settings: Any,
) -> Outcome:
    """Fit a method on a draw of a cache entry; settings are the method's config fields.

    Raises what `run` raises.
    """
    return run(entry, Experiment(method, shots, seed, policy, settings, bank, views, transfer))


def draw_for(entry: Entry, experiment: Experiment) -> Draw:
    """The draw an experiment asks for: the same pictures for every method, with what it reads."""
    return draw(
        entry,
        experiment.shots,
        experiment.seed,
        bank=experiment.bank,
        views=experiment.views,
        extras=get(spelt_out(experiment).method).extras,
    )


def _lacks(drawn: Draw, method: Method, entry: Entry) -> bool:
    """Whether the method reads features that the entry has and this draw was made without."""
    return bool(method.extras & {*entry.extras} - drawn.episode.holds)


def spelt_out(experiment: Experiment) -> Experiment:
    """`fma` with the setting `base=taskres` (or `fma.base`) is the method `fma@taskres`."""
    name = experiment.method
    bases = [key for key in experiment.settings if key == "base" or key.endswith(".base")]
    if not bases:
        return experiment
    # What carries no name before a dot belongs to the method that was asked for.
    settings = {
        key if "." in key or key == "base" else f"{name}.{key}": value
        for key, value in experiment.settings.items()
    }
    for key in bases:
        owner = key.removesuffix("base").removesuffix(".") or name
        name = with_base(name, owner, str(settings.pop(key)))
    return replace(experiment, method=name, settings=settings)


@cache
def _versions() -> dict[str, str]:
    own = {name: version(name) for name in ("featcache", "torch")}
    return {**own, "python": platform.python_version()}


def _configured(experiment: Experiment) -> tuple[Experiment, Method, Any, frozenset[str]]:
    """The experiment spelt out, its method, the config it asks for and which fields that fixes."""
    experiment = spelt_out(experiment)
    method = get(experiment.method)
    return experiment, method, *configure(experiment.method, method, experiment.settings)


def _choose(
    experiment: Experiment, method: Any, config: Any, fixed: frozenset[str], drawn: Draw
) -> Chosen:
    if experiment.policy != "transfer":
        held = validation(drawn, experiment.policy)
        return select(method, drawn.episode, config, held, fixed)
    if experiment.transfer is None:
        raise ConfigError("policy transfer needs the data set to take settings from (--transfer).")
    other = draw_for(experiment.transfer, experiment)
    held = validation(other, "few-shot-val")
    settings = select(method, other.episode, config, held, fixed)
    final = select(method, drawn.episode, settings.config, None)
    return Chosen(final.config, final.state, settings.score, settings.tried)


def check_needs(name: str, drawn: Draw) -> None:
    """Raise `MethodError` where the draw holds not all that the method needs."""
    episode = drawn.episode
    if missing := [need for need in ADDED_BY if need in get(name).needs - episode.holds]:
        options = " ".join(ADDED_BY[need] for need in missing)
        raise MethodError(
            f"{name} needs {' and '.join(missing)}, which {episode.dataset} has not cached; add "
            f"what is missing with `featcache encode --dataset {episode.dataset} --backbone "
            f"{episode.backbone} {options}`."
        )
