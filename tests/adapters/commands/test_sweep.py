"""`adapters sweep` from a dry run to the table."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import cli
from adapters.episode import Query
from adapters.method import Method
from tests.typed import Type


def test_a_sweep_from_dry_run_to_table(filled: Type, tmp_path: Path) -> None:
    (tmp_path / "grid.yaml").write_text("method: [zero-shot, ncm]\nseed: [1, 2]\n")
    line = "adapters sweep grid.yaml --shots 1,2 --jobs 1 --json"
    assert filled(f"{line} --dry-run").json == {
        "runs": 8,
        "before": 0,
        "left_out": {},
    }
    first = filled(line).json
    assert (first["runs"], first["done"], first["failed"]) == (8, 8, 0)
    again = filled(line).json
    assert (again["before"], again["done"]) == (8, 0)
    assert filled(f"{line} --calibrate --dry-run").json["before"] == 0  # rows would say more
    rows = filled("adapters results --where method=ncm --where shots=2 --json").json
    assert [row["seed"] for row in rows] == [1, 2]
    assert "zero-shot" in filled("adapters results").out
    assert filled("adapters results --format markdown").out.count("\n") == 2 + 8
    assert filled("adapters results --out rows.csv").status == 0
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 1 + 8
    fit = filled("adapters fit --method ncm --shots 2 --json").json
    assert fit["run"] in {row["run"] for row in rows}
    assert len(filled("adapters results --json").json) == 8


def test_a_sweep_with_failures_says_so_at_the_end(
    filled: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    from adapters.sweeping.worker import Worker

    def breaks(worker: Worker, run: Any) -> Any:
        raise MemoryError("no more")

    monkeypatch.setattr(Worker, "_rows", breaks)
    answer = filled("adapters sweep --method zero-shot --shots 1,2 --jobs 1 --json")
    assert answer.status == 1
    assert answer.json["failed"] == 2
    assert answer.err.splitlines()[-1].startswith("error: 2 of 2 runs failed")
    assert answer.err.endswith("The first: MemoryError: no more\n")
    rows = filled("adapters results --where status=failed --json").json
    assert {row["reason"] for row in rows} == {"MemoryError: no more"}


def test_why_what_was_done_cannot_be_calibrated_is_said(filled: Type) -> None:
    """Rows that are done do not give way to failed ones, so that no row says it."""
    line = "adapters sweep --method ncm --shots 1 --policy none --jobs 1"
    assert filled(line).status == 0
    answer = filled(f"{line} --calibrate")
    assert answer.status == 1
    reason = answer.err.partition(" The first: ")[2]
    assert reason.startswith("calibration leaves pictures of a class out in turn")
    assert filled("adapters results --where status=failed --json").json == []


def test_ctrl_c_ends_a_sweep_and_keeps_its_rows(filled: Type, tmp_path: Path) -> None:
    import os
    import signal
    import time

    from adapters.results import Results

    # Fits of a tenth of a second, so that the sweep is not over before the signal comes.
    command = [sys.executable, "-c", "import cli; cli.adapters()", "sweep", "--method", "taskres"]
    command += ["--shots", "1,2,3,4,5,6,7,8", "--seed", ",".join(map(str, range(100)))]
    command += ["--stack", "off"]
    environment = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parent)}
    driver = subprocess.Popen(
        [*command, "--jobs", "1"], env=environment, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    results = Results(tmp_path / "runs" / "results.sqlite")
    while driver.poll() is None and (not results.path.exists() or len(results.frame()) < 5):
        time.sleep(0.01)
    driver.send_signal(signal.SIGINT)
    _, said = driver.communicate()
    assert driver.returncode == 130
    assert said == "stopped; run the same command again to go on.\n"
    frame = results.frame()
    assert 5 <= len(frame) < 800
    assert set(frame["status"]) == {"done"}


def test_scores_that_are_not_finite_are_a_failed_row(
    filled: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answers(self: Method, state: Any, config: Any, query: Query, classes: int) -> Any:
        yield slice(0, len(query.x)), torch.full((len(query.x), classes), torch.nan)

    monkeypatch.setattr(Method, "answers", answers)
    answer = filled("adapters sweep --method zero-shot --shots 1 --jobs 1")
    assert answer.status == 1
    [row] = filled("adapters results --json").json
    assert (row["status"], row["accuracy"]) == ("failed", None)
    assert "not finite to 21 of 21 pictures of animals" in row["reason"]


def test_trials_are_those_of_a_search(filled: Type) -> None:
    """They were passed over, and one run was done."""
    said = filled("adapters sweep --method gda --shots 1 --trials 3 --dry-run")
    assert said.status == 1
    assert "add --search random or tpe" in said.err
