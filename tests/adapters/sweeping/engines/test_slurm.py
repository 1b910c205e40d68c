"""Slurm's job arrays as submitit's own executor of local processes does them."""

from __future__ import annotations

import json
import os
import signal
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from adapters.results import Results
from adapters.sweeping.chunks import chunks
from adapters.sweeping.engine import Engine, engine
from adapters.sweeping.grid import grid
from adapters.sweeping.runs import Run
from adapters.sweeping.sweep import sweep
from adapters.sweeping.worker import Worker
from featcache.engines.options import EngineOptions
from featcache.errors import ConfigError
from featcache.store.cache import FeatureCache
from tests.adapters.sweeping.quick import by, elsewhere, here, runs_of
from tests.featcache.engines.test_slurm import refusing

pytest.importorskip("submitit")


@pytest.fixture
def runs(cache: FeatureCache) -> list[Run]:
    return runs_of(cache, method=["zero-shot", "gda"], seed=[1, 2])


def local_slurm(folder: Path, jobs: int = 2) -> Engine:
    return engine(
        "slurm", jobs=jobs, device="cpu", folder=folder, slurm={"cluster": "local", "time": 5}
    )


def test_tasks_give_the_rows_of_this_process(
    runs: list[Run], results: Results, tmp_path: Path
) -> None:
    assert by(local_slurm(tmp_path / "slurm", 1), runs, results) == here(runs)
    assert not list((tmp_path / "slurm" / "rows").iterdir())  # all taken over


def test_tasks_score_other_sets_as_this_process(tmp_path: Path) -> None:
    elsewhere(local_slurm(tmp_path / "slurm", 1), tmp_path)


def test_chunks_are_dealt_out_like_cards(
    runs: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What two tasks are handed, done here."""
    from featcache.engines import slurm as shared

    class Executor:
        def __init__(self, **words: Any) -> None:
            self.update_parameters = self.batch = lambda **words: nullcontext()

        def submit(self, task: Any, share: Any, path: Path, device: str) -> Any:
            shares.append(share)
            task(share, path, device)
            return SimpleNamespace(done=lambda: True)

    shares = list[Any]()
    monkeypatch.setattr(shared.submitit, "AutoExecutor", Executor)
    every = chunks(runs, 3)
    made = local_slurm(tmp_path / "slurm")
    rows = [row["run"] for found in made.run(every) for row in found]
    assert shares == [every[::2], every[1::2]]
    assert sorted(rows) == sorted(run.id for run in runs)


def test_what_slurm_refuses_is_one_sentence(
    runs: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing(tmp_path, monkeypatch)
    made = engine("slurm", jobs=2, device="cpu", folder=tmp_path, slurm={"partition": "x"})
    with pytest.raises(ConfigError, match=r"\(sbatch: error: no partition x\); mend --slurm"):
        list(made.run(chunks(runs)))
    made.close()


def test_rows_of_a_driver_that_died_are_taken_over(runs: list[Run], tmp_path: Path) -> None:
    """Whole lines count, torn ones and failures do not; what was taken is not submitted."""
    made = [row for chunk in chunks(runs[:1]) for row in next(Worker().rows(chunk))]
    rows = tmp_path / "slurm" / "rows"
    rows.mkdir(parents=True)
    failure = {**made[0], "run": runs[1].id, "status": "failed"}
    lines = [json.dumps([row]) for row in (*made, failure, {**made[0], "run": runs[2].id})]
    (rows / "old-0.jsonl").write_text("\n".join(lines)[:-7])
    first = next(local_slurm(tmp_path / "slurm").run(chunks(runs)))
    assert [row["run"] for row in first] == [runs[0].id]


def test_rows_left_without_calibration_are_none_of_a_calibrated_run(
    runs: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = tmp_path / "slurm" / "rows"
    rows.mkdir(parents=True)
    plain, calibrated = ([replace(run, calibrate=c) for run in runs[:1]] for c in (False, True))
    left, done = (next(Worker().rows(chunks(each)[0])) for each in (plain, calibrated))
    (rows / "old-0.jsonl").write_text(json.dumps(left) + "\n")
    made: Any = local_slurm(tmp_path / "slurm")
    asked = list[Any]()
    monkeypatch.setattr(made, "_submitted", lambda chunks: iter([asked.append(chunks) or []]))
    assert len(next(made.run(chunks(plain)))) == 1
    assert [*made.run(chunks(calibrated))] == [[]]
    assert [[run.id for c in each for run in c.runs] for each in asked] == [[runs[0].id]]
    (rows / "old-1.jsonl").write_text(json.dumps(done) + "\n")
    assert len(next(made.run(chunks(calibrated)))) == 2  # of which the later stands


def test_a_task_writes_a_line_a_run(cache: FeatureCache, tmp_path: Path) -> None:
    """Both targets of a run stand in one line, so that it is read whole or not at all."""
    from adapters.sweeping.engines import slurm

    runs = runs_of(cache, method="zero-shot", task="base-to-new", shots=1, seed=[1, 2])
    path = tmp_path / "deep" / "rows.jsonl"
    slurm._task(chunks(runs), path, "cpu")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [[(row["run"], row["target"]) for row in rows] for rows in lines] == [
        [(run.id, "base"), (run.id, "new")] for run in (run for c in chunks(runs) for run in c.runs)
    ]


def test_lines_are_read_once_they_are_whole(tmp_path: Path) -> None:
    from adapters.sweeping.engines import slurm

    path = tmp_path / "rows.jsonl"
    lines = slurm._Lines(path)
    assert lines.new() == []
    with path.open("a") as file:
        for text, wanted in (
            ('[{"run": "a"}]\n[{"run"', ["a"]),
            (': "ö"}, {"run": "c"}', []),
            ("]", []),
            ("\n", ["ö", "c"]),
            ("", []),
            ('[]\n[{"run": "d"}]\n', ["d"]),
        ):
            file.write(text)
            file.flush()
            assert [row["run"] for row in lines.new()] == wanted


def test_options_go_to_the_cluster_by_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from adapters.sweeping.engines import slurm
    from featcache.engines import slurm as shared

    told: dict[str, Any] = {}

    class Executor:
        def __init__(self, **words: Any) -> None:
            told.update(words)

        def update_parameters(self, **words: Any) -> None:
            told.update(words)

    monkeypatch.setattr(shared.submitit, "AutoExecutor", Executor)
    asked = {"time": 90, "memory": 8, "partition": "gpu", "nice": 5}
    made = slurm.engine(EngineOptions("slurm", folder=tmp_path / "a", slurm=asked))
    assert (made.workers, made.folder) == (slurm.JOBS, tmp_path / "a")
    assert told == {
        "folder": tmp_path / "a" / "%j", "cluster": "slurm", "name": "adapters-sweep",
        "timeout_min": 90, "mem_gb": 8, "cpus_per_task": 1, "slurm_partition": "gpu",
        "slurm_additional_parameters": {"nice": 5},
    }  # fmt: skip
    assert slurm.engine(EngineOptions("slurm", jobs=3, folder=tmp_path)).workers == 3
    assert told["timeout_min"] == 60


@pytest.mark.slow
def test_what_a_killed_task_had_finished_counts(
    cache: FeatureCache, results: Results, tmp_path: Path
) -> None:
    many = grid(cache, method="gda", seed=list(range(1500)), shots=[1, 2, 4])
    made: Any = local_slurm(tmp_path / "slurm", 1)
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
