"""Sweeps: nothing done twice, nothing lost, and the same rows whoever does the work."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sqlite3
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import adapters
from adapters.fitting import run as run_alone
from adapters.results import Results
from adapters.scoring import Row
from adapters.sweeping.engines.local import Local
from adapters.sweeping.grid import grid
from adapters.sweeping.runs import Run
from adapters.sweeping.sweep import sweep
from adapters.sweeping.worker import Worker
from featcache.errors import EpisodeError
from featcache.store.cache import FeatureCache
from tests.adapters.sweeping.quick import accuracies, runs_of


def test_a_sweep_is_its_runs_one_by_one(cache: FeatureCache, results: Results) -> None:
    runs = runs_of(cache)
    summary = sweep(runs, results=results)
    assert (summary.runs, summary.before, summary.done, summary.failed) == (18, 0, 18, 0)
    alone = {run.id: run_alone(run.entry, run.experiment).row["accuracy"] for run in runs}
    assert accuracies(results) == alone


SHORT = {
    "fma.steps": 10,
    "fma.width": 16,
    "fma.learning_rate": [1e-3, 3e-3],
    "clip-adapter.steps": 10,
    "taskres.epochs": 3,
    "node-adapter.iterations": 3,
    "node-adapter.solver": ["rk4", "dopri5"],
}


@pytest.mark.parametrize("task", ["few-shot", "base-to-new"])
def test_stacked_rows_are_the_rows_of_runs_alone(cache: FeatureCache, task: str) -> None:
    methods = ["fma", "clip-adapter", "node-adapter", "ncm", "taskres", "fma@taskres"]
    methods = methods[: 6 if task == "few-shot" else 2]
    asked = {key: values for key, values in SHORT.items() if key.partition(".")[0] in methods}
    words = {"policy": ["none", "few-shot-val"], "seed": [1, 2], "shots": 4, "task": task}
    runs = runs_of(cache, method=methods, settings=asked, **words)
    rows: dict[str, dict[str, Row]] = {"on": {}, "off": {}}
    for stack, found in rows.items():
        sweep(runs, on_row=lambda row, found=found: found.update({row["run"]: row}), stack=stack)
    same = ["status", "accuracy", "harmonic_mean", "config", "tried", "policy", "seed"]
    for run, alone in rows["off"].items():
        row = rows["on"][run]
        assert {key: row.get(key) for key in same} == {key: alone.get(key) for key in same}
        assert (row["val_score"] or 0) == pytest.approx(alone["val_score"] or 0, rel=1e-3)
        trained = row["method"] not in ("ncm", "fma@taskres")
        assert (row["stacked"] > 1) == (trained and row["config"].get("solver") != "dopri5"), row
        assert alone["stacked"] == 1
        assert row["fit_seconds"] > 0
        assert row["fit_processor_seconds"] > 0


def test_base_to_new_rows_have_both_halves(cache: FeatureCache, results: Results) -> None:
    runs = runs_of(cache, method="zero-shot", task=["few-shot", "base-to-new"], shots=2, seed=1)
    sweep(runs, results=results)
    frame = results.frame().set_index("target")
    alone = run_alone(runs[1].entry, runs[1].experiment)
    assert frame.index.tolist() == ["animals", "base", "new"]
    assert frame["accuracy"].tolist()[1:] == [row["accuracy"] for row in alone.rows]
    assert frame["harmonic_mean"].isna().tolist() == [True, False, False]
    assert frame.loc["base", "harmonic_mean"] == alone.row["harmonic_mean"]
    assert sweep(runs, results=results).before == 2


def test_what_is_done_is_not_done_again(cache: FeatureCache, results: Results) -> None:
    runs = runs_of(cache)
    heard: list[Row] = []
    sweep(runs[:7], results=results, on_row=heard.append)
    summary = sweep(runs, results=results, on_row=heard.append)
    assert (summary.before, summary.done) == (7, 11)
    assert sorted(row["run"] for row in heard) == sorted(run.id for run in runs)


def test_a_failed_run_is_a_row_and_the_rest_goes_on(
    cache: FeatureCache, results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = runs_of(cache)
    real = Worker._rows

    def breaks(worker: Worker, run: Run) -> list[Row]:
        if run.experiment.method == "ncm":
            raise ZeroDivisionError("by\n nothing")
        return real(worker, run)

    monkeypatch.setattr(Worker, "_rows", breaks)
    assert sweep(runs, results=results).failed == 6
    frame = results.frame().set_index("status")
    assert set(frame.loc["failed", "reason"]) == {"ZeroDivisionError: by nothing"}
    assert set(frame.loc["failed", "method"]) == {"ncm"}
    assert len(frame.loc["done"]) == 12
    monkeypatch.undo()
    summary = sweep(runs, results=results)
    assert (summary.before, summary.done, summary.failed) == (12, 6, 0)
    assert set(results.frame()["status"]) == {"done"}


class Deadly(Worker):
    """A worker whose process is killed by one kind of run."""

    def _rows(self, run: Run) -> list[Row]:
        if run.experiment.method == "ncm" and run.experiment.seed == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return super()._rows(run)


def test_a_run_that_kills_its_worker_takes_no_other_along(
    cache: FeatureCache, results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = runs_of(cache)
    engine = Local(jobs=2, worker=Deadly)
    try:
        summary = sweep(runs, engine, results)
    finally:
        engine.close()
    frame = results.frame()
    assert frame["run"].is_unique
    lost = frame[frame["status"] == "failed"]
    assert set(zip(lost["method"], lost["seed"], strict=True)) == {("ncm", 2)}
    assert lost["reason"].str.contains("worker died").all()
    assert (summary.done, summary.failed) == (len(runs) - 2, 2)


def test_a_draw_that_cannot_be_is_refused_before_the_first_fit(
    cache: FeatureCache, results: Results
) -> None:
    with pytest.raises(EpisodeError, match="10 training"):
        sweep(runs_of(cache, shots=[1, 11]), results=results)
    assert not results.path.exists() or results.frame().empty


def drive(cache: Path, results: Path, jobs: int) -> None:
    engine = Local(jobs)
    runs = killable(FeatureCache(cache))
    try:
        sweep(runs, engine, Results(results))
    finally:
        engine.close()


def killable(cache: FeatureCache) -> list[Run]:
    return runs_of(cache, shots=[1, 2, 4, 8], seed=list(range(10)))


def killed_at_random(cache: FeatureCache, path: Path, jobs: int, kills: int) -> None:
    """Kill a sweep `kills` times somewhere between its first row and its last, then finish it."""
    rng = random.Random(0)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["adapters.sweeping.worker"])

    def held() -> dict[str, tuple[Any, ...]]:
        if not path.exists():
            return {}
        with sqlite3.connect(path) as connection:
            found = connection.execute("SELECT run, accuracy, time, fit_seconds FROM runs")
            rows = found.fetchall()
        assert len({row[0] for row in rows}) == len(rows)
        return {row[0]: row for row in rows}

    before: dict[str, tuple[Any, ...]] = {}
    for _ in range(kills):
        driver = context.Process(target=drive, args=(cache.root, path, jobs))
        driver.start()
        wanted = len(before) + rng.randint(1, 15)
        while driver.is_alive() and _count(path) < wanted:
            time.sleep(0.001)
        driver.kill()
        driver.join()
        seen = held()
        assert before.items() <= seen.items()  # nothing that was written is lost or done again
        before = seen
    assert 0 < len(before) < 120
    runs = killable(cache)
    summary = sweep(runs, results=Results(path))
    assert (summary.runs, summary.before, summary.failed) == (120, len(before), 0)
    after = held()
    assert before.items() <= after.items()
    assert len(after) == 120


def _count(path: Path) -> int:
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            return int(connection.execute("SELECT count(*) FROM runs").fetchone()[0])
    except sqlite3.Error:
        return 0


def test_a_killed_driver_loses_no_row_and_repeats_none(cache: FeatureCache, tmp_path: Path) -> None:
    killed_at_random(cache, tmp_path / "results.sqlite", jobs=1, kills=1)


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_driver_killed_again_and_again_loses_no_row(
    cache: FeatureCache, tmp_path: Path, jobs: int
) -> None:
    killed_at_random(cache, tmp_path / "results.sqlite", jobs=jobs, kills=4)


@pytest.mark.slow
def test_workers_killed_at_random_lose_no_run(cache: FeatureCache, results: Results) -> None:
    runs = runs_of(cache, method=["tip-adapter", "gda"], shots=[1, 2, 4, 8], seed=list(range(10)))
    engine = Local(jobs=2)
    killed = 0

    def kill(row: Row) -> None:
        nonlocal killed
        if killed < 3 and hash(row["run"]) % 7 == 0:
            killed += 1
            os.kill(next(iter(engine._pool.values())).pid or 0, signal.SIGKILL)

    try:
        summary = sweep(runs, engine, results, kill)
    finally:
        engine.close()
    assert (summary.done, summary.failed) == (80, 0)
    assert len(accuracies(results)) == 80


def test_the_public_door() -> None:
    assert (adapters.sweep, adapters.grid) == (sweep, grid)


def test_what_is_to_be_calibrated_is_done_again_where_it_was_not(
    cache: FeatureCache, results: Results
) -> None:
    runs = runs_of(cache, method="ncm", shots=2, seed=[1, 2])
    sweep(runs, results=results)
    plain = accuracies(results)
    asked = [replace(run, calibrate=True) for run in runs]
    assert sweep(asked, results=results).done == 2
    assert accuracies(results) == plain  # in place of the rows of before
    frame = results.frame().set_index("run")
    alone = run_alone(runs[0].entry, runs[0].experiment, calibrate=True).row
    for column in ("temperature", "ece_calibrated", "nll_calibrated"):
        assert frame[column][runs[0].id] == alone[column]
    assert [sweep(some, results=results).done for some in (runs, asked)] == [0, 0]
