"""Tables and pictures: means over seeds, and rows that do not belong together kept apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas
import pytest
from matplotlib.figure import Figure

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


@pytest.mark.parametrize(
    "column", ["dataset", "data", "policy", "backbone", "images", "task", "target"]
)
def test_rows_that_differ_share_no_table(frame: pandas.DataFrame, column: str) -> None:
    frame[column] = "one"
    frame.loc[0, column] = "other"
    with pytest.raises(ValueError, match=rf"rows of different {column} \(one, other\) do not"):
        cells(frame)


@pytest.mark.parametrize("column", ["settings", "bank", "views", "draw"])
def test_seeds_of_a_method_that_differ_have_no_mean(frame: pandas.DataFrame, column: str) -> None:
    frame[column] = frame["method"]  # methods may differ
    assert len(cells(frame)) == 4
    frame.loc[0, column] = "other"
    with pytest.raises(ValueError, match=rf"of zero-shot with different {column} \(other, zero"):
        cells(frame)


def test_settings_may_be_those_of_rows_in_memory(frame: pandas.DataFrame) -> None:
    frame["settings"] = [{} for _ in frame.index]
    assert len(cells(frame)) == 4
    frame.at[0, "settings"] = {"alpha": 2.0}
    with pytest.raises(ValueError, match="rows of zero-shot with different settings"):
        cells(frame)


def test_settings_are_the_same_in_any_order(frame: pandas.DataFrame) -> None:
    told = [
        {"beta": 1.0, "lambda_": 0.1},
        {"lambda_": 0.1, "beta": 1.0},
        '{"beta": 1.0,"lambda_":0.1}',
    ]
    frame["settings"] = [told[i % 3] for i in range(len(frame))]
    assert len(cells(frame)) == 4


def test_what_failed_later_and_what_is_not_shown_change_nothing(frame: pandas.DataFrame) -> None:
    busy = frame.assign(fit_processor_seconds=0.25)
    failed = busy[busy["seed"] == 3].assign(accuracy=None)
    assert cells(pandas.concat([busy, failed]))["fma", 4].mean == 75.0
    older = busy[busy["seed"] == 3].assign(fit_processor_seconds=None, accuracy=1.0)
    assert shots_table(pandas.concat([older, busy]))[0][-1] == "processor s a fit"


def test_a_seed_that_was_done_again_counts_once(frame: pandas.DataFrame) -> None:
    again = frame[(frame["method"] == "fma") & (frame["seed"] == 3)]
    cell = cells(pandas.concat([frame, again.assign(accuracy=0.0)]))["fma", 4]
    assert (cell.mean, cell.n) == (pytest.approx((74 + 75 + 0) / 3), 3)


def test_transductive_rows_share_no_table_with_others(frame: pandas.DataFrame) -> None:
    frame.loc[0, "transductive"] = 1
    with pytest.raises(ValueError, match=r"rows of different transductive \(0, 1\)"):
        cells(frame)


def test_any_column_can_be_summed_up(frame: pandas.DataFrame) -> None:
    cell = cells(frame, "fit_seconds")["zero-shot", 1]
    assert (cell.mean, cell.std, cell.n) == (0.5, 0.0, 3)
    assert list(cells(frame)) == [("zero-shot", 1), ("zero-shot", 4), ("fma", 1), ("fma", 4)]


def test_methods_stand_beside_each_other_and_zero_shot_at_nought(
    frame: pandas.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *a, **k: drawn.append(self) or save(self, *a, **k)
    )
    path = over_shots(frame, tmp_path / "a" / "b" / "a.svg", "animals")
    assert "<svg" in path.read_text()
    (axes,) = drawn[0].axes
    assert axes.get_title() == "animals"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0", "1", "4"]
    assert axes.get_xticks().tolist() == [0, 1, 2]
    star, dotted, *lines = axes.get_lines()
    # The star is zero-shot at the most shots there are, and a dotted line goes on from it.
    assert (star.get_xdata().tolist(), star.get_ydata().tolist()) == ([0], [66])
    assert (dotted.get_xdata().tolist(), dotted.get_ydata().tolist()) == ([0, 2], [66, 66])
    assert lines[0].get_xdata().tolist() == pytest.approx([1.025, 2.025])
    assert lines[0].get_ydata().tolist() == [72, 75]


def test_nine_methods_are_told_apart(
    frame: pandas.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The eighth had the look of the first."""
    drawn: list[Any] = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: drawn.append(self))
    names = [f"m{i}" for i in range(9)]
    over_shots(pandas.concat([frame.assign(method=n) for n in names]), tmp_path / "a.svg")
    lines = [bar[0] for bar in drawn[0].axes[0].containers]
    assert [bar.get_label() for bar in drawn[0].axes[0].containers] == names
    assert len({(each.get_color(), each.get_marker()) for each in lines}) == 9
    assert len({(each.get_color(), each.get_linestyle()) for each in lines}) == 9


def test_a_method_without_some_shots_has_a_dash(frame: pandas.DataFrame) -> None:
    rest = frame[(frame["method"] != "fma") | (frame["shots"] > 1)]
    heads, rows = shots_table(rest)
    assert heads == ["method", "1 shot", "4 shots", "clock s a fit"]
    assert rows == [
        ["zero-shot", "63.0 ± 1.0", "66.0 ± 1.0", "0.50"],
        ["fma", "–", "75.0 ± 1.0", "0.50"],
    ]


def test_seconds_are_the_processors_where_all_rows_have_them(frame: pandas.DataFrame) -> None:
    busy = frame.assign(fit_processor_seconds=0.25)
    heads, rows = shots_table(busy)
    assert heads[-1] == "processor s a fit"
    assert {row[-1] for row in rows} == {"0.25"}
    busy.loc[0, "fit_processor_seconds"] = None
    assert shots_table(busy)[0][-1] == "clock s a fit"


def test_seconds_of_a_table_with_a_gpu_are_all_the_clocks(frame: pandas.DataFrame) -> None:
    """The processor waits there, and no table mixes both."""
    made = frame.assign(fit_processor_seconds=0.25, device="cpu")
    assert shots_table(made)[0][-1] == "processor s a fit"
    made.loc[0, "device"] = "NVIDIA H100"
    heads, rows = shots_table(made)
    assert heads[-1] == "clock s a fit"
    assert {row[-1] for row in rows} == {"0.50"}


def test_the_picture_is_drawn_the_same_each_time(frame: pandas.DataFrame, tmp_path: Path) -> None:
    first, second = (over_shots(frame, tmp_path / name) for name in ("a.png", "b.png"))
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes()[:4] == b"\x89PNG"


def test_the_table_is_markdown(frame: pandas.DataFrame) -> None:
    text = markdown(*shots_table(frame))
    assert "| fma | 72.0 ± 1.0 | 75.0 ± 1.0 | 0.50 |" in text
    assert len({line.count("|") for line in text.splitlines()}) == 1
