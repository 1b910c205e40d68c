"""`adapters report` and `adapters plot flow`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.typed import Type


def test_report_and_flow(filled: Type, tmp_path: Path) -> None:
    for method in ("zero-shot", "fma --set steps=10", "gda"):
        assert filled(f"adapters fit --method {method} --shots 2").status == 0
    answer = filled("adapters report --out paper --baseline gda --where shots=2 --json")
    assert answer.status == 0
    assert answer.json == {
        "page": "paper/report.html", "runs": 3, "failed": 0, "superseded": 0,
    }  # fmt: skip
    assert (tmp_path / "paper" / "report.html").stat().st_size > 500_000
    folder = next(tmp_path.glob("runs/*-fma-*"))
    answer = filled(f"adapters plot flow {folder} --out flow.svg --json")
    assert answer.status == 0
    assert len(answer.json["accuracy"]) == 11
    assert "<svg" in (tmp_path / "flow.svg").read_text()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("adapters report", "there is no results file runs/results.sqlite"),
        ("adapters report --results there.sqlite --where x", "--where takes column=value"),
        ("adapters report --results there.sqlite --baseline gdb", "unknown baseline 'gdb'"),
        ("adapters report --results there.sqlite --where seed=9", "holds no finished run"),
        ("adapters plot flow nowhere", "holds no adapter"),
        ("adapters plot flow plain", "gda has no flow"),
        ("adapters plot flow moving --out flow.gif", "is no picture"),
    ],
)
def test_mistakes_in_reports_are_one_sentence(
    filled: Type, tmp_path: Path, line: str, reason: str
) -> None:
    for method, folder in (("gda", "plain"), ("node-adapter", "moving")):
        fitted = filled(f"adapters fit --method {method} --shots 2 --policy none --json")
        Path(fitted.json["adapter"]).rename(tmp_path / folder)
    (tmp_path / "runs" / "results.sqlite").rename(tmp_path / "there.sqlite")
    answer = filled(line)
    assert answer.status == 1
    assert answer.err.startswith("error: ")
    assert reason in answer.err
    assert answer.err.count("\n") == 1
