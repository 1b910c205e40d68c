"""One experiment from a cache entry to an adapter and its rows: draw, choose, fit, score."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import Any

from torch import Tensor

from adapters import registry
from adapters.adapter import Adapter
from adapters.compose import get
from adapters.drawing import short_classes
from adapters.episode import NEGATIVE_PROMPTS, VIEWS, Draw, Target
from adapters.evaluate import accuracy, class_accuracy
from adapters.experiment import Configured, Experiment, configured, spelt_out
from adapters.method import Fit, Method, refuse_new_classes
from adapters.run_identity import code_version, id_of, told
from adapters.selection import Chosen, select, validation
from featcache.draws import ALL, BALANCED, NATURAL, Shots
from featcache.errors import CacheError, ConfigError, MethodError
from featcache.store.entry import PATCHES, PRE_PROJECTION, Entry
from featcache.store.sameness import data_id

Row = dict[str, Any]

# What an adapter and the entry that it is scored on have in common, in words.
BETWEEN = {
    "classes": "the classes",
    "fingerprint": "weights with the fingerprint",
    "support": "the pictures",
}

# The option of `featcache encode` that caches what a method may need.
ADDED_BY = {
    VIEWS: "--views 20",
    PRE_PROJECTION: f"--extra {PRE_PROJECTION}",
    PATCHES: f"--extra {PATCHES}",
    NEGATIVE_PROMPTS: "--prompts negative",
}


@dataclass(frozen=True)
class Outcome:
    """A fitted adapter and the rows that say how it did, one a target of the task."""

    adapter: Adapter
    rows: tuple[Row, ...]

    @property
    def row(self) -> Row:
        """The row of the first target."""
        return self.rows[0]


def fit(
    entry: Entry,
    method: str = "fma",
    *,
    shots: Shots = 16,
    seed: int = 1,
    policy: str = "few-shot-val",
    bank: str | None = None,
    views: int | None = None,
    transfer: Entry | None = None,
    task: str = "few-shot",
    draw: str = BALANCED,
    **settings: Any,
) -> Outcome:
    """Fit a method on a draw of a cache entry; settings are the method's config fields.

    Raises what `run` raises.
    """
    words = Experiment(method, shots, seed, policy, settings, bank, views, transfer, task, draw)
    return run(entry, words)


def run(
    entry: Entry, experiment: Experiment, drawn: Draw | None = None, fit: Fit | None = None
) -> Outcome:
    """Draw, choose by the policy, fit, and score on every target of the task.

    `drawn` may be given where several experiments share a draw; it is drawn again for a method that
    reads cached features which it does not have. `fit` may be given where another function than the
    method's own knows the states. Raises `MethodError` before fitting where the method cannot take
    the task's new classes, and the errors of the rooms it passes through.
    """
    # A wrong name or setting is told before anything is read.
    known = configured(experiment)
    task = registry.task(experiment.task)
    if task.new_classes and known.method.with_text is None:
        raise refuse_new_classes(known.experiment.method)
    if drawn is None or _lacks(drawn, known.method, entry):
        drawn = draw_for(entry, known.experiment)
    check_needs(known.experiment.method, drawn)
    method = replace(known.method, fit=fit) if fit else known.method
    began = time.perf_counter()
    chosen = _choose(replace(known, method=method), drawn)
    seconds = time.perf_counter() - began
    about = _about(entry, known, drawn)
    names = drawn.episode.text.classnames
    adapter = Adapter(known.experiment.method, chosen.config, chosen.state, names, about)
    shared = {
        "run": id_of(entry, known),
        **_words(entry, known, chosen, about),
        **told(entry, known.experiment),
        "fit_seconds": seconds,
    }
    scored = [shared | _scored(adapter, target) for target in drawn.targets]
    summary = task.summary({row["target"]: row["accuracy"] for row in scored})
    return Outcome(adapter, tuple(row | summary for row in scored))


@dataclass(frozen=True)
class Score:
    """How an adapter does on one target: accuracies in per cent, of all and of each class."""

    target: str
    accuracy: float
    n_test: int
    by_class: dict[str, float]


def score(adapter: Adapter, entry: Entry) -> list[Score]:
    """How a saved adapter does on the targets beside its own draw of `entry`.

    Raises `CacheError` where they are not of what it was fitted on, and what drawing and
    `Adapter.logits` raise.
    """
    way = adapter.about.get("draw", BALANCED)
    shots: Shots = ALL if way == ALL else adapter.told("shots")
    drawn = registry.task(adapter.told("task")).draw(
        entry,
        shots,
        adapter.told("seed"),
        bank=adapter.told("bank"),
        views=0,
        extras=adapter.extras,
        **({"kind": way} if way == NATURAL else {}),
    )
    _check_fits(adapter, entry, drawn)
    found = []
    for target in drawn.targets:
        logits, names = _asked(adapter, target)
        labels = target.pictures.labels
        by_class = dict(zip(names, class_accuracy(logits, labels).tolist(), strict=True))
        found.append(Score(target.name, accuracy(logits, labels), len(labels), by_class))
    return found


def _check_fits(adapter: Adapter, entry: Entry, drawn: Draw) -> None:
    """Raise `CacheError` where the entry's draw is not the one that the adapter was fitted on.

    Other pictures beside those it was fitted on, or under their names, are no hindrance.
    """
    theirs = {
        "classes": drawn.episode.text.classnames,
        "fingerprint": entry.manifest["backbone"]["fingerprint"],
        "support": drawn.episode.support.ids,
    }
    for what, found in theirs.items():
        own = adapter.classnames if what == "classes" else adapter.about.get(what, found)
        if list(own) != list(found):
            raise CacheError(
                f"the adapter was fitted on {BETWEEN[what]} {_brief(own)}, and {entry.key} has "
                f"{_brief(found)}; take the entry it was fitted on, or fit it again."
            )


def _brief(value: str | Sequence[str]) -> str:
    if isinstance(value, str):
        return value[:16]
    return ", ".join(value[:6]) + (f", … ({len(value)})" if len(value) > 6 else "")


def _scored(adapter: Adapter, target: Target) -> Row:
    began = time.perf_counter()
    logits, _ = _asked(adapter, target)
    return {
        "target": target.name,
        "accuracy": accuracy(logits, target.pictures.labels),
        "n_test": len(target.pictures.labels),
        "predict_seconds": time.perf_counter() - began,
    }


def _asked(adapter: Adapter, target: Target) -> tuple[Tensor, tuple[str, ...]]:
    """Logits `[q, c]` of a target's pictures, and the classes that they are of.

    Raises `MethodError` where they are not finite: they would still have an accuracy.
    """
    asked = adapter if target.text is None else adapter.with_text(target.text)
    logits = asked.logits(target.pictures.query)
    if bad := int((~logits.isfinite().all(1)).sum()):
        raise MethodError(
            f"{adapter.method} gives scores that are not finite to {bad} of {len(logits)} pictures "
            f"of {target.name}, so it has no accuracy; fit it with other settings (such as a lower "
            "learning rate)."
        )
    return logits, asked.classnames


def _about(entry: Entry, known: Configured, drawn: Draw) -> dict[str, Any]:
    """Where an adapter comes from."""
    experiment, method, support = known.experiment, known.method, drawn.episode.support
    return {
        "dataset": entry.dataset,
        "backbone": entry.backbone,
        "entry": entry.key,
        "fingerprint": entry.manifest["backbone"]["fingerprint"],
        "data": data_id(entry),
        "bank": experiment.bank or entry.banks[-1],
        "task": experiment.task,
        "shots": drawn.episode.shots,
        "draw": experiment.drawn,
        "short_classes": short_classes(drawn.episode, experiment.shots, experiment.draw),
        "seed": experiment.seed,
        "views": support.views.shape[0] - 1,
        "extras": sorted((method.reads | method.needs) & drawn.episode.holds - {VIEWS}),
        "policy": experiment.policy,
        "versions": _versions(),
        "width": support.views.shape[-1],
        "logit_scale": entry.logit_scale,
        "support": list(support.ids),
    }


def _words(entry: Entry, known: Configured, chosen: Chosen, about: dict[str, Any]) -> Row:
    """What a row says of the experiment, whatever the target."""
    experiment = known.experiment
    beside = ("width", "logit_scale", "support")  # of the adapter alone
    return {
        **{key: value for key, value in about.items() if key not in beside},
        "shots": experiment.shots,
        "method": experiment.method,
        "transductive": known.method.transductive,
        "settings": dict(experiment.settings),
        "config": asdict(chosen.config),
        "val_score": chosen.score,
        "tried": chosen.tried,
        "code": code_version(experiment.method, experiment.task),
        "transfer": experiment.transfer and experiment.transfer.key,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _choose(known: Configured, drawn: Draw) -> Chosen:
    experiment, method = known.experiment, known.method
    if experiment.policy != "transfer":
        held = validation(drawn, experiment.policy)
        return select(method, drawn.episode, known.config, held, known.fixed)
    if experiment.transfer is None:
        raise ConfigError("policy transfer needs the data set to take settings from (--transfer).")
    other = draw_for(experiment.transfer, replace(experiment, task="few-shot"))
    held = validation(other, "few-shot-val")
    settings = select(method, other.episode, known.config, held, known.fixed)
    final = select(method, drawn.episode, settings.config, None)
    return Chosen(final.config, final.state, settings.score, settings.tried)


def draw_for(entry: Entry, experiment: Experiment) -> Draw:
    """The draw an experiment asks for: the same pictures for every method, with what it reads."""
    return registry.task(experiment.task).draw(
        entry,
        experiment.shots,
        experiment.seed,
        bank=experiment.bank,
        views=experiment.views,
        **experiment.way,
        extras=get(spelt_out(experiment).method).extras,
    )


def _lacks(drawn: Draw, method: Method, entry: Entry) -> bool:
    """Whether the method reads features that the entry has and this draw was made without."""
    return bool(method.extras & {*entry.extras} - drawn.episode.holds)


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


@cache
def _versions() -> dict[str, str]:
    own = {name: version(name) for name in ("featcache", "torch")}
    return {**own, "python": platform.python_version()}
