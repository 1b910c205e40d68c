"""What a person sees of a sweep: counts that add up, the best of each method, lines in a log."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from adapters.sweeping import progress
from adapters.sweeping.progress import watched


def row(method: str, accuracy: float, status: str = "done") -> dict[str, Any]:
    return {"method": method, "accuracy": accuracy, "status": status, "dataset": "pets",
            "shots": 4, "seed": 1}  # fmt: skip


ROWS = [row("fma", 80.0), row("fma", 91.25), row("fma", 85.0), row("gda", 70.0, "failed")]


def test_a_log_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    console = Console(file=out, width=200)
    with watched(console, total=10, workers=2) as on_row:
        on_row(ROWS[0])
        assert out.getvalue() == ""
        monkeypatch.setattr(progress, "SECONDS", -1.0)
        on_row(ROWS[3])
    assert out.getvalue().startswith("1 of 10 runs done, 2 running, 1 failed, ")
    assert out.getvalue().rstrip().endswith("left")


def test_a_terminal_gets_the_bar_and_the_best_of_each_method() -> None:
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=True, soft_wrap=True)
    with watched(console, total=5, workers=1) as on_row:
        for each in ROWS:
            on_row(each)
    seen = out.getvalue()
    assert "3 of 5 runs done, 1 running, 1 failed" in seen
    assert "91.25 %" in seen
    assert "gda" not in seen  # it has no row that is done
