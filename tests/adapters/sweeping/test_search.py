"""Sampled settings: random trials are a grid, Optuna's go on from what the store holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from adapters.results import Results
from adapters.scoring import Row
from adapters.sweeping.engines.local import Local
from adapters.sweeping.grid import grid
from adapters.sweeping.runs import Run
from adapters.sweeping.search import Search, adaptive, at_random, planned
from adapters.sweeping.settings import Combine
from adapters.sweeping.sweep import sweep
from featcache.errors import ConfigError
from featcache.store.cache import FeatureCache

WORDS: dict[str, Any] = {
    "method": "proto-clip-f",
    "shots": 2,
    "seed": [1, 2],
    "settings": {"learning_rate": "1e-4..1e-1:log", "steps": 5},
}


def making(cache: FeatureCache, **words: Any) -> Any:
    def make(combine: Combine) -> list[Run]:
        return grid(cache, **{**WORDS, **words}, combine=combine)

    return make


def test_random_trials_are_a_grid(cache: FeatureCache) -> None:
    make = making(cache)
    few, many = make(at_random(3)), make(at_random(8))
    assert len(many) == 8 * 2
    assert [run.id for run in many] == [run.id for run in make(at_random(8))]
    assert {run.id for run in few} < {run.id for run in many}
    rates = {run.experiment.settings["learning_rate"] for run in many}
    assert len(rates) == 8
    assert all(1e-4 <= rate <= 1e-1 for rate in rates)
    assert {run.experiment.settings["steps"] for run in many} == {5}


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_a_search_goes_on_from_the_store(
    cache: FeatureCache, results: Results, sampler: str
) -> None:
    pytest.importorskip("optuna")
    make, heard = making(cache), list[Row]()
    assert planned(make, Search(sampler, 3), results) == (6, 0)
    first, best = adaptive(make, Search(sampler, 3), Local(), results, heard.append)
    assert (first.runs, first.before, first.done) == (6, 0, 6)
    assert best[0].trials == 3
    assert planned(make, Search(sampler, 5), results) == (10, 6)
    second, best = adaptive(make, Search(sampler, 5), Local(), results, heard.append)
    assert (second.runs, second.before, second.done) == (10, 6, 4)
    assert best[0].trials == 5
    assert len({row["run"] for row in heard}) == 10
    # The best is that of the rows: mean validation score over the seeds.
    frame = results.frame()
    assert len(frame) == 10
    assert frame.groupby("settings")["val_score"].mean().max() == pytest.approx(best[0].value)
    third, same = adaptive(make, Search(sampler, 5), None, results)
    assert (third.done, same) == (0, best)


def test_a_trial_that_was_begun_is_finished_first(cache: FeatureCache, results: Results) -> None:
    pytest.importorskip("optuna")
    make = making(cache)
    begun = make(at_random(1))
    sweep(begun[:1], results=results)
    adaptive(make, Search("tpe", 1), Local(), results)
    assert set(results.frame()["run"]) == {run.id for run in begun}


def test_trials_done_without_calibration_are_done_again_with_it(
    cache: FeatureCache, results: Results
) -> None:
    pytest.importorskip("optuna")
    make = making(cache, seed=1)

    def calibrated(combine: Combine) -> list[Run]:
        return [replace(run, calibrate=True) for run in make(combine)]

    adaptive(make, Search("tpe", 2), None, results)
    assert planned(calibrated, Search("tpe", 2), results) == (2, 0)
    summary, best = adaptive(calibrated, Search("tpe", 2), None, results)
    assert (summary.done, best[0].trials) == (2, 2)
    assert planned(calibrated, Search("tpe", 2), results) == (2, 2)
    frame = results.frame()
    assert len(frame) == 2
    assert frame["ece_calibrated"].notna().all()


@pytest.mark.parametrize("policy", ["none", "transfer"])
def test_a_search_without_validation_is_refused(
    cache: FeatureCache, results: Results, policy: str
) -> None:
    pytest.importorskip("optuna")
    with pytest.raises(ConfigError, match="full-val"):
        planned(making(cache, policy=policy, transfer="animals"), Search("tpe", 2), results)
