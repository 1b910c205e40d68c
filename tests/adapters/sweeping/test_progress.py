"""What a person sees of a sweep: counts that add up, the best of each method, lines in a log."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from adapters.sweeping import progress
from adapters.sweeping.progress import Tally, _clock, watched


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


def test_a_tally_adds_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    tally = Tally(10, 4)
    assert str(tally) == "0 of 10 runs done, 4 running"
    for each in ROWS:
        tally.add(each)
    now[0] += 8
    assert str(tally) == "3 of 10 runs done, 4 running, 1 failed, 0.5 runs/s, 0:12 left"
    assert {name: row["accuracy"] for name, row in tally.best.items()} == {"fma": 91.25}
    for _ in range(5):
        tally.add(row("fma", 91.25))
    assert "8 of 10 runs done, 1 running, 1 failed" in str(tally)
    assert tally.best["fma"] is ROWS[1]  # the first of equals


@pytest.mark.parametrize(
    ("seconds", "clock"),
    [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3599, "59:59"), (3600, "1:00:00"),
     (36061, "10:01:01")],
)  # fmt: skip
def test_what_is_left_as_a_clock_shows_it(seconds: float, clock: str) -> None:
    assert _clock(seconds) == clock


def test_a_terminal_shows_the_best_first_and_not_all() -> None:
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=True)
    with watched(console, total=40, workers=1) as on_row:
        for i in range(progress.SHOWN + 5):
            on_row(row(f"method{i:02}", 50.0 + i))
    last = out.getvalue().rpartition("best so far")[2]
    assert last.index("method24") < last.index("method23") < last.index("method05")
    assert "method04" not in last
