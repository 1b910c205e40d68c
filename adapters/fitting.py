"""One experiment from a cache entry to an adapter and its rows: draw, choose, fit, score."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import Any

import torch

from adapters import registry, targets
from adapters.ability import ADDED_BY, adding, check, check_entry, usual
from adapters.adapter import Adapter
from adapters.choosing.folds import Folds
from adapters.compose import get
from adapters.confidence import calibration
from adapters.confidence.measures import auroc, energy
from adapters.devices.crossover import chosen
from adapters.devices.device import device_of, moved, name_of, steady, wait
from adapters.drawing import short_classes
from adapters.episode import VIEWS, Draw, Target
from adapters.experiment import Configured, Experiment, configured, pictures, spelt_out
from adapters.expression import leaves
from adapters.method import Fit
from adapters.problems.solving import Asked
from adapters.registry import LEFT_OUT
from adapters.run_identity import code_version, id_of, told
from adapters.scoring import OF_THE_ADAPTER, Row, score_target
from adapters.selection import Chosen, select, validation
from adapters.targets import has
from adapters.task import Task
from adapters.watching import waiting
from featcache import threads
from featcache.draws import BALANCED, Shots
from featcache.errors import ConfigError, EpisodeError, MethodError
from featcache.store.entry import EXTRAS, Entry
from featcache.store.sameness import data_id

ORACLE = "oracle"  # rows that were shown the answer


@dataclass(frozen=True)
class Outcome:
    """A fitted adapter and the rows that say how it did, one a target of the task.

    `told` is what every row says of the experiment; it is all there is where the data has no test
    split and no other set was named, so that there are no rows. Of problems no adapter is `kept`.
    """

    kept: Adapter | None
    rows: tuple[Row, ...]
    told: Row

    @property
    def adapter(self) -> Adapter:
        """The fitted adapter. Raises `MethodError` where thousands were fitted and none is kept."""
        if self.kept is None:
            raise MethodError(
                f"{self.told['task']} fits an adapter for each problem and keeps none; its rows "
                "say how they did."
            )
        return self.kept

    @property
    def row(self) -> Row:
        """The row of the first target. Raises `EpisodeError` where there is none."""
        if not self.rows:
            raise EpisodeError(
                f"{self.told['dataset']} has no test split, so that there is no row; ask the "
                "adapter of another set or split with `adapters evaluate`."
            )
        return self.rows[0]

    @property
    def run(self) -> str:
        """The run's id."""
        return str(self.told["run"])


def fit(
    entry: Entry,
    method: str = "fma",
    *,
    shots: Shots | None = None,
    seed: int = 1,
    policy: str | None = None,
    bank: str | None = None,
    views: int | None = None,
    transfer: Entry | None = None,
    task: str = "few-shot",
    draw: str = BALANCED,
    on: Sequence[Entry] = (),
    text: str | None = None,
    device: str = "cpu",
    calibrate: bool = False,
    progress: bool | None = None,
    **settings: Any,
) -> Outcome:
    """Fit a method on a draw of a cache entry; settings are the method's config fields.

    `on` are entries of other sets to be scored on, for tasks that take them. Shots and policy that
    are left open are the task's usual ones, 16 and `few-shot-val` for most. `device` is where the
    adapter is fitted, scored and left. `calibrate` keeps a temperature and scores in the adapter
    (`adapters.confidence.calibration`). `progress` shows long trainings with a bar, which is so in
    a notebook unless it says no.

    Raises what `run` raises.
    """
    shots, policy = usual(task, shots, policy)
    others = tuple(on)
    words = Experiment(
        method, shots, seed, policy, settings, bank, views, transfer, task, draw, others, text
    )
    with waiting.shown(progress):
        return run(entry, words, device=device, calibrate=calibrate)


@threads.for_work(0)  # but for the fits and scores that are large
def run(
    entry: Entry,
    experiment: Experiment,
    drawn: Draw | None = None,
    fit: Fit | None = None,
    device: str = "cpu",
    calibrate: bool = False,
) -> Outcome:
    """Draw, choose by the policy, fit, and score on every target of the task.

    `drawn` may be given where several experiments share a draw; it is drawn again for a method that
    reads cached features which it does not have. `fit` may be given where another function than the
    method's own knows the states; `device` is where everything is done. Raises `MethodError` or
    `ConfigError` before fitting where the task does not take the method, another word or the
    device, and the errors of the rooms it passes through.
    """
    # A wrong name or setting is told before anything is read.
    known = configured(experiment)
    task = registry.task(experiment.task)
    check(known.experiment)
    check_entry(entry, known)
    words = known.experiment
    place = device_of(chosen(device, leaves(words.method), pictures(entry, words)))
    if task.solve is not None and calibrate:
        raise MethodError(f"{words.task} keeps no adapter to be calibrated; leave --calibrate out.")
    if task.solve is not None:
        with steady(place):
            return _solve(entry, known, task, place)
    if drawn is None or _lacks(drawn, known, entry):
        drawn = draw_for(entry, known.experiment)
    check_needs(words.method, drawn, (entry, *words.on))
    drawn = moved(drawn, place)
    method = replace(known.method, fit=fit, fit_over=None) if fit else known.method
    with steady(place):
        began, busy = time.perf_counter(), time.process_time()
        found = _choose(replace(known, method=method), drawn)
        wait(place)
        seconds, busy = time.perf_counter() - began, time.process_time() - busy
        about = _about(entry, known, drawn)
        if calibrate:
            about |= _calibrated(known, drawn, found)
        names = drawn.episode.text.classnames
        adapter = Adapter(words.method, found.config, found.state, names, about)
        scored = _scored(adapter, drawn, (entry, *words.on))
        apart = _unknown(adapter, drawn) if task.new_classes and task.others is None else {}
    shared = {
        "run": id_of(entry, known),
        **_words(known, found.config, found.score, found.tried, about),
        "fit_seconds": seconds,
        "fit_processor_seconds": busy,
        "device": name_of(place),
        "temperature": adapter.temperature,
        "reason": found.note,
    }
    added = {each["target"]: each["accuracy"] for each in scored}
    if task.others is not None:  # the source is no target of its own
        added = {name: value for name, value in added.items() if name != entry.dataset}
    every = shared | apart | (task.summary(added) if added else {})
    return Outcome(adapter, tuple(every | each for each in scored), every)


def _solve(entry: Entry, known: Configured, task: Task, place: torch.device) -> Outcome:
    """Thousands of fits, of which rows are kept: one for each list of problems."""
    words = known.experiment
    asked = Asked(
        words.method, known.method, known.config, known.fixed, words.policy, words.seed,
        words.text, words.bank, str(place),
    )  # fmt: skip
    began, busy = time.perf_counter(), time.process_time()
    assert task.solve is not None
    settled, lists = task.solve(entry, asked)
    seconds, busy = time.perf_counter() - began, time.process_time() - busy
    about = {
        **_of_entry(entry, known),
        "bank": (words.bank or entry.banks[-1]) if words.text else None,
        "text": f"{ORACLE}-text" if words.text else None,
        "views": 0,
        "extras": [],
        "short_classes": 0,
    }
    told = {
        "run": id_of(entry, known),
        **_words(known, settled.config, settled.score, settled.tried, about),
        "fit_seconds": seconds,
        "fit_processor_seconds": busy,
        "device": name_of(place),
        **task.summary({each.name: each.accuracy for each in lists}),
    }
    rows = [
        {
            "target": each.name,
            "accuracy": each.accuracy,
            "standard_error": None if math.isnan(each.standard_error) else each.standard_error,
            "n_test": each.queries,
            "target_entry": entry.key,
        }
        for each in lists
    ]
    return Outcome(None, tuple(told | row for row in rows), told)


def _scored(adapter: Adapter, drawn: Draw, entries: Sequence[Entry]) -> list[Row]:
    """What is of a target alone in the rows, in the order of the targets."""
    sets = {entry.dataset: entry for entry in entries} if len(entries) > 1 else {}
    strict = any(target.columns is not None for target in drawn.targets)
    rows = []
    for target in drawn.targets:
        found, other = score_target(adapter, target), sets.get(target.name)
        rows.append(
            {
                "target": found.target,
                "accuracy": found.accuracy,
                "n_test": found.n_test,
                "predict_seconds": found.seconds,
                "strict_accuracy": found.strict if strict else None,
                "target_entry": other and other.key,
                "target_data": other and data_id(other),
                **found.confidence,
            }
        )
    return rows


def _calibrated(known: Configured, drawn: Draw, found: Chosen) -> dict[str, Any]:
    """What `about` says of calibration, by the pictures that the policy may look at."""
    policy = known.experiment.policy
    # Pictures that were left out in turn to choose settings are left out again for this.
    unseen = ("transfer", "oracle-test", *LEFT_OUT)
    held = None if policy in unseen else validation(drawn, policy)
    assert not isinstance(held, Folds)
    kept = calibration.calibrated(known.method, drawn.episode, found.config, found.state, held)
    return {calibration.KEY: kept.kept}


def _unknown(adapter: Adapter, drawn: Draw) -> Row:
    """How well pictures of classes that no fit saw are told from those of the classes fitted."""
    known, unknown = (
        torch.cat([_energies(adapter, t) for t in drawn.targets if t.own is own])
        for own in (True, False)
    )
    return {"unknown_auroc": auroc(known, unknown)}


def _energies(adapter: Adapter, target: Target) -> torch.Tensor:
    return adapter.answer(target.pictures.query, lambda _, logits: [energy(logits)])[0]


def _about(entry: Entry, known: Configured, drawn: Draw) -> dict[str, Any]:
    """Where an adapter comes from."""
    experiment, method, support = known.experiment, known.method, drawn.episode.support
    ids = entry.class_ids if drawn.episode.classes == len(entry.classnames) else ()
    return {
        **_of_entry(entry, known),
        "bank": experiment.bank or (entry.banks or (None,))[-1],
        "shots": drawn.episode.shots,
        "short_classes": short_classes(drawn.episode, experiment.shots, experiment.draw),
        "views": support.views.shape[0] - 1,
        "extras": sorted((method.reads | method.needs) & drawn.episode.holds - {VIEWS}),
        "width": support.views.shape[-1],
        "logit_scale": entry.logit_scale,
        "support": list(support.ids),
        **({"class_ids": list(ids)} if ids else {}),
    }


def _of_entry(entry: Entry, known: Configured) -> dict[str, Any]:
    """What is said of an experiment on an entry before anything is drawn."""
    held, experiment = entry.manifest["backbone"], known.experiment
    return {
        "dataset": entry.dataset,
        "backbone": entry.backbone,
        "entry": entry.key,
        "fingerprint": held["fingerprint"],
        "weights": held.get("weights", held["fingerprint"]),
        **told(entry, experiment),
        "task": experiment.task,
        "draw": experiment.drawn,
        "seed": experiment.seed,
        "policy": experiment.policy,
        "versions": _versions(),
        "settings": dict(experiment.settings),
    }


def _words(
    known: Configured, config: Any, score: float | None, tried: int, about: dict[str, Any]
) -> Row:
    """What a row says of the experiment, whatever the target."""
    experiment = known.experiment
    return {
        **{key: value for key, value in about.items() if key not in OF_THE_ADAPTER},
        "shots": experiment.shots,
        "method": experiment.method,
        "transductive": known.method.transductive,
        "config": asdict(config),
        "val_score": score,
        "tried": tried,
        "code": code_version(experiment.method, experiment.task),
        "transfer": experiment.transfer and experiment.transfer.key,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _choose(known: Configured, drawn: Draw) -> Chosen:
    experiment, method = known.experiment, known.method
    if experiment.policy != "transfer":
        held = validation(drawn, experiment.policy, known.config)
        return select(method, drawn.episode, known.config, held, known.fixed)
    if experiment.transfer is None:
        raise ConfigError("policy transfer needs the data set to take settings from (--transfer).")
    check_entry(experiment.transfer, known)
    other = draw_for(experiment.transfer, replace(experiment, task="few-shot", on=()))
    other = moved(other, drawn.episode.support.views.device)
    held = validation(other, "few-shot-val")
    settings = select(method, other.episode, known.config, held, known.fixed)
    final = select(method, drawn.episode, settings.config, None)
    return Chosen(final.config, final.state, settings.score, settings.tried)


def draw_for(entry: Entry, experiment: Experiment) -> Draw:
    """The draw an experiment asks for: the same pictures for every method, with what it reads."""
    return targets.draw(
        experiment.task,
        entry,
        experiment.shots,
        experiment.seed,
        bank=experiment.bank,
        views=experiment.views,
        **experiment.way,
        extras=get(spelt_out(experiment).method).extras,
        on=experiment.on,
    )


def _lacks(drawn: Draw, known: Configured, entry: Entry) -> bool:
    """Whether the method reads features that all sets have and this draw was made without."""
    whole = {e for e in entry.extras if all(has(other, e) for other in known.experiment.on)}
    return bool(known.method.extras & whole - drawn.episode.holds)


def check_needs(name: str, drawn: Draw, entries: Sequence[Entry]) -> None:
    """Raise `MethodError` where the draw holds not all that the method needs.

    `entries` are all that it was drawn from, of which one that lacks it is named.
    """
    episode, method = drawn.episode, get(name)
    if not len(episode.support.labels) and not method.support_free:
        raise MethodError(
            f"{name} learns from training pictures and {episode.dataset} has none; score zero-shot "
            "on it, or make it a target of another set (--on)."
        )
    if missing := [need for need in ADDED_BY if need in method.needs - episode.holds]:
        extras = [need for need in missing if need in EXTRAS]
        lacking = [o for o in entries if not all(has(o, extra) for extra in extras)]
        poor = [*lacking, *entries][0]
        where = f"--dataset {poor.dataset} --backbone {episode.backbone}"
        raise MethodError(
            f"{name} needs {' and '.join(missing)}, which {poor.dataset} has not cached; add "
            f"what is missing with {adding(poor, missing, where)}."
        )


@cache
def _versions() -> dict[str, str]:
    own = {name: version(name) for name in ("featcache", "torch")}
    return {**own, "python": platform.python_version()}
