"""Ray and Slurm for real: Ray on this node, submitit's own executor of local processes."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.results import Results
from adapters.sweeping.chunks import chunks
from adapters.sweeping.engine import Engine, engine
from adapters.sweeping.grid import grid
from adapters.sweeping.runs import Run
from adapters.sweeping.sweep import sweep
from adapters.sweeping.worker import Worker
from featcache.errors import ConfigError, UnknownNameError
from featcache.store.cache import FeatureCache
from tests.entries import make_entry


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    folder = tmp_path_factory.mktemp("engines")
    make_entry(folder)
    words: dict[str, Any] = {"method": ["zero-shot", "gda"], "shots": [1, 2], "seed": [1, 2]}
    return grid(FeatureCache(folder / "cache"), **words)


def here(runs: list[Run]) -> dict[str, float]:
    rows: dict[str, float] = {}
    sweep(runs, on_row=lambda row: rows.update({row["run"]: row["accuracy"]}))
    return rows


def rows_of(made: Engine, runs: list[Run], path: Path) -> dict[str, float]:
    try:
        summary = sweep(runs, made, Results(path))
    finally:
        made.close()
    assert (summary.done, summary.failed) == (len(runs), 0)
    frame = Results(path).frame()
    assert frame["run"].is_unique
    return dict(zip(frame["run"], frame["accuracy"], strict=True))


def local_slurm(folder: Path, jobs: int = 2) -> Engine:
    return engine(
        "slurm", jobs=jobs, device="cpu", folder=folder, slurm={"cluster": "local", "time": 5}
    )


def test_slurms_tasks_give_the_rows_of_this_process(runs: list[Run], tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    found = rows_of(local_slurm(tmp_path / "slurm", 1), runs, tmp_path / "results.sqlite")
    assert found == here(runs)
    assert not list((tmp_path / "slurm" / "rows").iterdir())  # all taken over


def test_rows_of_a_driver_that_died_are_taken_over(runs: list[Run], tmp_path: Path) -> None:
    """Whole lines count, torn ones and failures do not; what was taken is not submitted."""
    pytest.importorskip("submitit")
    made = [row for chunk in chunks(runs[:1]) for row in next(Worker().rows(chunk))]
    rows = tmp_path / "slurm" / "rows"
    rows.mkdir(parents=True)
    failure = {**made[0], "run": runs[1].id, "status": "failed"}
    lines = [json.dumps([row]) for row in (*made, failure, {**made[0], "run": runs[2].id})]
    (rows / "old-0.jsonl").write_text("\n".join(lines)[:-7])
    first = next(local_slurm(tmp_path / "slurm").run(chunks(runs)))
    assert [row["run"] for row in first] == [runs[0].id]


@pytest.mark.slow
def test_what_a_killed_task_had_finished_counts(runs: list[Run], tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    many = grid(FeatureCache(runs[0].entry.folder.parents[2]), method="gda", seed=list(range(1500)),
                shots=[1, 2, 4])  # fmt: skip
    made: Any = local_slurm(tmp_path / "slurm", 1)
    results = Results(tmp_path / "results.sqlite")
    killed = False
    try:
        for rows in made.run(chunks(many)):
            results.add_all(rows)
            if not killed:
                watcher = made._jobs[0]._process.pid
                children = Path(f"/proc/{watcher}/task/{watcher}/children").read_text()
                for child in children.split():
                    os.kill(int(child), signal.SIGKILL)
                killed = True
    finally:
        made.close()
    finished = len(results.frame())
    assert 0 < finished < len(many)
    summary = sweep(many, local_slurm(tmp_path / "slurm", 1), results)
    assert (summary.before, summary.done, summary.failed) == (finished, len(many) - finished, 0)


@pytest.fixture(scope="module")
def rays() -> Iterator[None]:
    ray = pytest.importorskip("ray")
    yield
    ray.shutdown()


@pytest.mark.usefixtures("rays")
def test_rays_actors_give_the_rows_of_this_process(runs: list[Run], tmp_path: Path) -> None:
    assert rows_of(engine("ray", jobs=1, device="cpu"), runs, tmp_path / "results.sqlite") == here(
        runs
    )


@pytest.mark.slow
@pytest.mark.usefixtures("rays")
def test_an_actor_that_dies_costs_no_run(
    runs: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that kills its actor once is done by another."""
    import adapters.sweeping.engines.ray as rooms

    trap = tmp_path / "trap"
    trap.touch()
    victim = runs[3].id

    class Deadly(rooms._Actor):
        def rows(self, chunk: Any) -> Any:
            if trap.exists() and victim in {run.id for run in chunk.runs}:
                trap.unlink()
                os.kill(os.getpid(), signal.SIGKILL)
            yield from super().rows(chunk)

    monkeypatch.setattr(rooms, "_Actor", Deadly)
    made = rooms.Ray(1, "cpu")
    assert rows_of(made, runs, tmp_path / "results.sqlite") == here(runs)
    assert not trap.exists()


def test_an_unknown_engine_and_a_missing_library_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import sys

    with pytest.raises(UnknownNameError, match="local, ray, slurm"):
        engine("cloud")
    monkeypatch.setitem(sys.modules, "submitit", None)
    monkeypatch.delitem(sys.modules, "adapters.sweeping.engines.slurm", raising=False)
    with pytest.raises(ConfigError, match=r"featcache\[slurm\]"):
        engine("slurm")
