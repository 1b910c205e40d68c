"""Sampled settings: random trials are a grid, Optuna's go on from what the store holds."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from adapters.sweeping.engines import Local
from adapters.sweeping.grid import Combine, Run, grid
from adapters.sweeping.ranges import Range, span
from adapters.results import Results
from adapters.sweeping.search import adaptive, at_random, dimensions, planned
from adapters.sweeping.sweep import sweep
from adapters.sweeping.worker import Row
from featcache.store.cache import FeatureCache
from featcache.errors import ConfigError
from tests.adapters.entries import make_entry

WORDS: dict[str, Any] = {
    "method": "proto-clip-f",
    "shots": 2,
    "seed": [1, 2],
    "settings": {"learning_rate": "1e-4..1e-1:log", "steps": 5},
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> FeatureCache:
    folder = tmp_path_factory.mktemp("search")
    make_entry(folder)
    return FeatureCache(folder / "cache")


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path / "results.sqlite")


def making(cache: FeatureCache, **words: Any) -> Any:
    def make(combine: Combine) -> list[Run]:
        return grid(cache, **{**WORDS, **words}, combine=combine)

    return make


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1..6", Range(1, 6)),
        ("1e-4..1e-2", Range(1e-4, 1e-2)),
        ("1e-4..1e-2:log", Range(1e-4, 1e-2, True)),
        ("-0.5..1.5", Range(-0.5, 1.5)),
        ("1..2.5", Range(1, 2.5)),
        ("a..b", None),
        ("imagenet", None),
        (3, None),
    ],
)
def test_ranges_as_typed(text: Any, found: Range | None) -> None:
    assert span(text) == found


@pytest.mark.parametrize("text", ["2..1", "1..1", "0..1:log", "-1..1:log"])
def test_a_range_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="no range"):
        span(text)


@settings(max_examples=50, deadline=None)
@given(some.floats(1e-6, 1e3), some.floats(1.001, 1e3), some.booleans(), some.integers())
def test_a_draw_is_in_its_range(low: float, factor: float, log: bool, seed: int) -> None:
    rng = random.Random(seed)
    assert Range(low, low * factor, log).draw(rng) in Range(low, low * factor)
    whole = Range(1, 1 + round(factor), log).draw(rng)
    assert isinstance(whole, int)
    assert whole in Range(1, 1 + round(factor))


def test_log_draws_fall_evenly_on_decades() -> None:
    rng = random.Random(0)
    drawn = [Range(1e-4, 1.0, True).draw(rng) for _ in range(4000)]
    counts = [sum(math.floor(math.log10(x)) == -k for x in drawn) for k in (1, 2, 3, 4)]
    assert all(850 < count < 1150 for count in counts)


def test_declared_fields_that_need_a_fit_are_searched() -> None:
    assert dimensions("lp++", {}) == ({"steps": [10, 30, 100, 300]}, {})
    found, fixed = dimensions("fma@taskres", {"fma.blocks": ["1..3"], "fma.steps": [9]})
    assert found == {"fma.blocks": Range(1, 3), "taskres.alpha": [0.5, 1.0]}
    assert fixed == {"fma.steps": 9}
    for nothing in ({}, {"blocks": [2]}):
        with pytest.raises(ConfigError, match="learning_rate"):
            dimensions("fma", nothing)
    with pytest.raises(ConfigError, match="not both"):
        dimensions("fma", {"blocks": ["1..3", 7]})


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
    assert planned(make, sampler, 3, results) == (6, 0)
    first, best = adaptive(make, sampler, 3, Local(), results, heard.append)
    assert (first.runs, first.before, first.done) == (6, 0, 6)
    assert best[0].trials == 3
    assert planned(make, sampler, 5, results) == (10, 6)
    second, best = adaptive(make, sampler, 5, Local(), results, heard.append)
    assert (second.runs, second.before, second.done) == (10, 6, 4)
    assert best[0].trials == 5
    assert len({row["run"] for row in heard}) == 10
    # The best is that of the rows: mean validation score over the seeds.
    frame = results.frame()
    assert len(frame) == 10
    assert frame.groupby("settings")["val_score"].mean().max() == pytest.approx(best[0].value)
    third, same = adaptive(make, sampler, 5, Local(), results)
    assert (third.done, same) == (0, best)


def test_a_trial_that_was_begun_is_finished_first(cache: FeatureCache, results: Results) -> None:
    pytest.importorskip("optuna")
    make = making(cache)
    begun = make(at_random(1))
    sweep(begun[:1], results=results)
    adaptive(make, "tpe", 1, Local(), results)
    assert set(results.frame()["run"]) == {run.id for run in begun}


@pytest.mark.parametrize("policy", ["none", "transfer"])
def test_a_search_without_validation_is_refused(
    cache: FeatureCache, results: Results, policy: str
) -> None:
    pytest.importorskip("optuna")
    with pytest.raises(ConfigError, match="full-val"):
        planned(making(cache, policy=policy, transfer="animals"), "tpe", 2, results)
