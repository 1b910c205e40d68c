"""Tables and pictures: means over seeds, and rows that do not belong together kept apart."""

from __future__ import annotations

from pathlib import Path

import pandas
import pytest

from adapters.report.over_shots import cells, over_shots, shots_table
from adapters.report.tables import markdown


@pytest.fixture
def frame() -> pandas.DataFrame:
    rows = [
        {"method": method, "shots": shots, "seed": seed, "accuracy": 60.0 + shots + seed + bonus,
         "fit_seconds": 0.5, "dataset": "d", "backbone": "b", "task": "few-shot",
         "policy": "none", "transductive": 0}
        for method, bonus in (("zero-shot", 0), ("fma", 9))
        for shots in (1, 4)
        for seed in (1, 2, 3)
    ]  # fmt: skip
    return pandas.DataFrame(rows)


def test_cells_hold_mean_and_sample_deviation(frame: pandas.DataFrame) -> None:
    cell = cells(frame)["fma", 4]
    assert (cell.mean, cell.std, cell.n) == (75.0, 1.0, 3)
    assert str(cell) == "75.0 ± 1.0"


@pytest.mark.parametrize("column", ["dataset", "policy", "backbone"])
def test_rows_that_differ_share_no_table(frame: pandas.DataFrame, column: str) -> None:
    frame.loc[0, column] = "other"
    with pytest.raises(ValueError, match=column):
        cells(frame)


def test_the_picture_is_drawn_the_same_each_time(frame: pandas.DataFrame, tmp_path: Path) -> None:
    first, second = (over_shots(frame, tmp_path / name) for name in ("a.png", "b.png"))
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes()[:4] == b"\x89PNG"


def test_the_table_is_markdown(frame: pandas.DataFrame) -> None:
    text = markdown(*shots_table(frame))
    assert "| fma | 72.0 ± 1.0 | 75.0 ± 1.0 | 0.50 |" in text
    assert len({line.count("|") for line in text.splitlines()}) == 1
