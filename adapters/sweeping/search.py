"""Settings that are sampled instead of spelt out: at random, or by a sampler of Optuna.

A dimension is a range (`1e-4..1e-2`, `1e-4..1e-2:log`, `1..6`) or a list of values, or a field of
the method's declared space that needs a new fit; those that one fit serves are the policy's. Random
trials are a grid like any other. Optuna's are chosen by what is known, and what is known stands in
the results store: trials that are done there are told to the study before the first is asked for.

A trial is one setting on every data set, backbone, number of shots and seed of the grid; its value
is the mean of the runs' validation scores, never of the test split's (policy `oracle-test`
excepted, which is what it says).
"""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.compose import get
from adapters.registry import LEFT_OUT
from adapters.results import Results
from adapters.scoring import Row
from adapters.sweeping.engine import Engine
from adapters.sweeping.engines.local import Local
from adapters.sweeping.runs import Run
from adapters.sweeping.settings import Combine
from adapters.sweeping.space import Range, Settings, dimensions
from adapters.sweeping.sweep import Summary, check, left, sweep
from adapters.sweeping.words import named
from featcache.errors import ConfigError

SAMPLERS = ("tpe", "gp")  # of Optuna
SEARCHES = ("grid", "random", *SAMPLERS)
# Policies that look at no validation pictures of the data set.
BLIND = ("none", "transfer", *LEFT_OUT)
Make = Callable[[Combine], list[Run]]


@dataclass(frozen=True)
class Search:
    """How settings are chosen: `grid` (all), `random`, or by a sampler of Optuna (`tpe`, `gp`).

    `trials` are the settings a method that a search tries. Raises `UnknownNameError`.
    """

    how: str = "grid"
    trials: int = 20

    def __post_init__(self) -> None:
        named("search", self.how, SEARCHES)

    @property
    def adaptive(self) -> bool:
        """Whether each trial is chosen by what the earlier ones came to."""
        return self.how in SAMPLERS


def at_random(trials: int, seed: int = 1) -> Combine:
    """For `grid`: `trials` random settings a method; more trials begin with the fewer."""

    def combine(name: str, axes: Mapping[str, Sequence[Any]]) -> Iterator[Settings]:
        wanted, fixed = dimensions(name, axes)
        rng = random.Random(f"{seed} {name}")
        for _ in range(trials):
            drawn = {
                k: d.sample(rng) if isinstance(d, Range) else rng.choice(d)
                for k, d in wanted.items()
            }
            yield {**fixed, **drawn}

    return combine


@dataclass(frozen=True)
class Best:
    """The best setting of a method by validation, and how many trials there were."""

    method: str
    settings: Settings
    value: float
    trials: int


def adaptive(
    make: Make,
    search: Search,
    engine: Engine | None,
    results: Results,
    on_row: Callable[[Row], None] | None = None,
    stack: str = "auto",
) -> tuple[Summary, list[Best]]:
    """Let Optuna choose the trials of each method, one study each; `make` gives a trial's runs.

    Trials that the store holds are told and count; ones that were begun are finished first. Raises
    `ConfigError` where there is nothing to search or to judge by, and what `sweep` raises.
    """
    studies = _studies(make, search.how, results)
    worker = engine or Local()
    summaries = [study.go_on(search.trials, worker, on_row, stack) for study in studies]
    total = Summary(
        runs=sum(s.runs for s in summaries),
        before=sum(s.before for s in summaries),
        done=sum(s.done for s in summaries),
        failed=sum(s.failed for s in summaries),
        seconds=sum(s.seconds for s in summaries),
        why=next((s.why for s in summaries if s.why), ""),
    )
    return total, [study.best() for study in studies]


def planned(make: Make, search: Search, results: Results) -> tuple[int, int]:
    """How many runs `adaptive` would have, and how many of them are done."""
    studies = _studies(make, search.how, results)
    return (
        sum(study.cells * max(search.trials, study.told) for study in studies),
        sum(study.cells * study.told for study in studies),
    )


def _studies(make: Make, sampler: str, results: Results) -> list[_Study]:
    """A study for each method of the grid, with the axes that concern it."""
    found: dict[str, dict[str, Sequence[Any]]] = {}

    def note(name: str, axes: Mapping[str, Sequence[Any]]) -> list[Settings]:
        found[name] = dict(axes)
        return [dimensions(name, axes)[1]]

    runs = make(note)
    for policy in {run.experiment.policy for run in runs}:
        if policy in BLIND:
            raise ConfigError(
                f"policy {policy} gives a search no validation score to go by; take few-shot-val "
                "or full-val."
            )
    check(runs)
    return [_Study(name, axes, make, sampler, results) for name, axes in found.items()]


class _Study:
    """An Optuna study of one method whose memory is the results store."""

    def __init__(
        self,
        name: str,
        axes: Mapping[str, Sequence[Any]],
        make: Make,
        sampler: str,
        results: Results,
    ) -> None:
        self.name, self.results = name, results
        self.dimensions, self.fixed = dimensions(name, axes)
        self._make = make
        self._optuna = _optuna()
        lower = get(name).criterion == "cross-entropy"
        self.study = self._optuna.create_study(direction="minimize" if lower else "maximize")
        self._scores: dict[str, float] = {}
        self._tell_the_past()
        # A study that goes on shall not ask once more for what it asked for at first.
        self.study.sampler = _sampler(self._optuna, sampler, 1 + self.told)

    def go_on(
        self,
        trials: int,
        engine: Engine,
        on_row: Callable[[Row], None] | None,
        stack: str = "auto",
    ) -> Summary:
        """Ask for settings and do their runs until there are so many trials."""
        began = time.perf_counter()
        told = self.told
        total = before = told * self.cells
        counts, why = {"done": 0, "failed": 0}, ""

        def note(row: Row) -> None:
            counts[row["status"]] += 1
            if row["status"] == "done":
                self._scores[row["run"]] = row["val_score"]
            if on_row:
                on_row(row)

        at_once = max(1, engine.workers // self.cells)
        while told < trials:
            asked = [
                self.study.ask(self._distributions()) for _ in range(min(at_once, trials - told))
            ]
            wanted = [self.runs({**self.fixed, **trial.params}) for trial in asked]
            runs = [*{run.id: run for batch in wanted for run in batch}.values()]
            summary = sweep(runs, engine, self.results, note, stack)
            total, before = total + summary.runs, before + summary.before
            why = why or summary.why
            for trial, batch in zip(asked, wanted, strict=True):
                self._tell(trial, batch)
            told += len(asked)
        return Summary(total, before, **counts, seconds=time.perf_counter() - began, why=why)

    @property
    def told(self) -> int:
        """How many trials have a value."""
        complete = self._optuna.trial.TrialState.COMPLETE
        return len(self.study.get_trials(deepcopy=False, states=(complete,)))

    @property
    def cells(self) -> int:
        """How many runs a trial has."""
        return len(self.runs(self.fixed))

    def best(self) -> Best:
        """The best trial. Raises `ConfigError` where all of them failed."""
        if not self.told:
            raise ConfigError(f"{self.name}: every trial failed; see `adapters results`.")
        trial = self.study.best_trial
        return Best(self.name, {**self.fixed, **trial.params}, trial.value, self.told)

    def runs(self, settings: Settings) -> list[Run]:
        """The runs of one trial."""
        return self._make(lambda name, _axes: [settings] if name == self.name else [])

    def _tell_the_past(self) -> None:
        frame = self.results.frame()
        mine = frame[(frame["method"] == self.name) & (frame["status"] == "done")]
        self._scores = dict(zip(mine["run"], mine["val_score"], strict=True))
        keys = {*self.dimensions, *self.fixed}
        for text in dict.fromkeys(mine["settings"]):
            settings = {**dict.fromkeys(keys), **json.loads(text)}  # a preset may be None
            fits = settings.keys() == keys and self.fixed.items() <= settings.items()
            if not (fits and all(settings[k] in each for k, each in self.dimensions.items())):
                continue
            params = {key: settings[key] for key in self.dimensions}
            runs = self.runs(settings)
            value = None if left(runs, self.results) else self._value(runs)
            if value is None:  # begun, and then stopped; or not calibrated yet
                self.study.enqueue_trial(params, skip_if_exists=True)
            else:
                past = self._optuna.trial.create_trial(
                    params=params, distributions=self._distributions(), value=value
                )
                self.study.add_trial(past)

    def _value(self, runs: Sequence[Run]) -> float | None:
        """Mean validation score; None where a run is not done."""
        scores = [self._scores.get(run.id) for run in runs]
        known = [score for score in scores if score is not None and not math.isnan(score)]
        return sum(known) / len(known) if len(known) == len(runs) else None

    def _tell(self, trial: Any, runs: Sequence[Run]) -> None:
        value = self._value(runs)
        if value is None:
            self.study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        else:
            self.study.tell(trial, value)

    def _distributions(self) -> dict[str, Any]:
        kinds = self._optuna.distributions
        return {
            key: kinds.CategoricalDistribution(each)
            if isinstance(each, list)
            else (kinds.IntDistribution if each.whole else kinds.FloatDistribution)(
                each.low, each.high, log=each.log
            )
            for key, each in self.dimensions.items()
        }


def _optuna() -> Any:
    try:
        import optuna
    except ModuleNotFoundError:
        raise ConfigError(
            "this search needs Optuna; install it with `pip install 'featcache[optuna]'`, or take "
            "--search random."
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _sampler(optuna: Any, name: str, seed: int) -> Any:
    samplers = optuna.samplers
    if name == "tpe":
        # With the liar, trials that are asked for together differ.
        return samplers.TPESampler(seed=seed, constant_liar=True)
    return samplers.GPSampler(seed=seed)
