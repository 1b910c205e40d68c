"""A whole sweep in one object, counted before it starts."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from adapters.results import Results
from adapters.sweeping import plan as room
from adapters.sweeping.plan import plan
from adapters.sweeping.search import Search
from adapters.sweeping.sweep import sweep
from featcache.errors import ConfigError, EpisodeError, MethodError, UnknownNameError
from featcache.store.cache import FeatureCache
from tests import frozen
from tests.adapters.sweeping.quick import METHODS, runs_of

WORDS: dict[str, Any] = {"method": METHODS, "shots": [1, 2], "seed": [1, 2, 3]}
RANGE: dict[str, Any] = {
    "method": "proto-clip-f",
    "shots": 2,
    "settings": {"learning_rate": ["1e-3..1e-2:log"], "steps": [3]},
}


def test_a_plan_is_its_grid(cache: FeatureCache, results: Results) -> None:
    found = plan(cache, WORDS, results)
    assert [run.id for run in found.runs] == [run.id for run in runs_of(cache)]
    assert (found.total, found.before) == (18, 0)
    assert (found.search, found.results) == (Search(), results)
    assert plan(cache, {}, results).total == 1
    sweep(found.runs[:5], results=results)
    again = plan(cache, WORDS, results)
    assert (again.total, again.before) == (18, 5)
    heard: list[Any] = []
    summary, best = again.carry_out(on_row=heard.append)
    assert (summary.runs, summary.before, summary.done, best) == (18, 5, 13, [])
    assert len(heard) == 13
    assert plan(cache, WORDS, results).before == 18


def test_words_stand_in_place_of_those_of_a_file(
    cache: FeatureCache, results: Results, tmp_path: Path
) -> None:
    path = tmp_path / "grid.yaml"
    path.write_text("method: [gda, ncm]\nshots: [1, 2]\n")
    found = plan(cache, {"shots": [4]}, results, grid_file=path)
    assert [run.experiment.method for run in found.runs] == ["gda", "ncm"]
    assert {run.experiment.shots for run in found.runs} == {4}


def test_parts_are_the_whole(cache: FeatureCache, results: Results) -> None:
    sweep(runs_of(cache)[:5], results=results)
    parts = [plan(cache, WORDS, results, part=(i, 4)) for i in (1, 2, 3, 4)]
    assert sum(each.total for each in parts) == 18
    assert sum(each.before for each in parts) == 5
    assert {run.id for each in parts for run in each.runs} == {run.id for run in runs_of(cache)}
    with pytest.raises(ConfigError, match="part 5 of 4"):
        plan(cache, WORDS, results, part=(5, 4))


def test_a_random_search_is_a_grid_of_so_many(cache: FeatureCache, results: Results) -> None:
    few, more = (plan(cache, RANGE, results, search=Search("random", n)) for n in (2, 5))
    assert (few.total, more.total) == (2, 5)
    assert {run.id for run in few.runs} < {run.id for run in more.runs}
    parts = [plan(cache, RANGE, results, search=Search("random", 5), part=(i, 2)) for i in (1, 2)]
    assert sum(each.total for each in parts) == 5
    with pytest.raises(ConfigError, match="--search random or tpe"):
        plan(cache, RANGE, results)


def test_an_adaptive_search_counts_trials_it_does_not_know_yet(
    cache: FeatureCache, results: Results
) -> None:
    pytest.importorskip("optuna")
    found = plan(cache, {**RANGE, "seed": [1, 2]}, results, search=Search("tpe", 3))
    assert (found.runs, found.total, found.before) == ((), 6, 0)
    found.check()  # though it has no runs yet
    summary, [best] = found.carry_out()
    assert (summary.done, best.trials, best.method) == (6, 3, "proto-clip-f")
    assert plan(cache, {**RANGE, "seed": [1, 2]}, results, search=Search("tpe", 3)).before == 6
    says = "--search tpe learns from every trial, so it takes no --shard"
    with pytest.raises(ConfigError, match=says):
        plan(cache, RANGE, results, search=Search("tpe", 3), part=(1, 2))


def test_a_check_tries_every_draw(cache: FeatureCache, results: Results) -> None:
    found = plan(cache, {**WORDS, "shots": [1, 11]}, results)
    with pytest.raises(EpisodeError, match="10 training"):
        found.check()
    plan(cache, WORDS, results).check()
    assert not results.path.exists() or results.frame().empty


def test_a_search_by_an_unknown_name_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="unknown search 'best'; known are: gp, grid, rand"):
        Search("best")


def test_a_plan_stays_as_it_was_made() -> None:
    assert frozen.thawed(room) == []


def test_a_plan_may_ask_for_calibration(cache: FeatureCache, results: Results) -> None:
    found = plan(cache, WORDS, results, calibrate=True)
    assert {run.calibrate for run in found.runs} == {True}
    assert {run.id for run in found.runs} == {run.id for run in plan(cache, WORDS, results).runs}


def test_a_task_that_keeps_no_adapter_says_how_it_is_swept(
    cache: FeatureCache, results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    problems = SimpleNamespace(solve=print)
    monkeypatch.setattr("adapters.sweeping.plan.task", lambda name: problems)
    with pytest.raises(MethodError, match="by itself, without --calibrate"):
        plan(cache, WORDS, results, calibrate=True)
