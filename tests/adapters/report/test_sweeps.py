"""Figures of a sweep: which runs are one, and what each setting alone is worth."""

from __future__ import annotations

import math
from typing import Any

import pandas
import pytest

from adapters.report import sweeps
from adapters.report.write import write_figure
from tests.adapters.rows import row


def alphas(values: list[float], seeds: tuple[int, ...] = (1, 2), **more: Any) -> pandas.DataFrame:
    """A run of each alpha at each seed; accuracy is 70 + alpha, and ten more at the second seed."""
    return pandas.DataFrame(
        [
            row(
                seed=s,
                settings={"alpha": a},
                config={"alpha": a, **more},
                accuracy=60 + 10.0 * s + a,
            )
            for a in values
            for s in seeds
        ]
    )


def test_a_sweep_is_several_settings_at_one_draw() -> None:
    made = pandas.DataFrame(
        [
            row(
                seed=s,
                settings={"alpha": a},
                config={"alpha": a, "part": {"beta": 2 * a}, "on": True},
            )
            for a in (1, 2)
            for s in (1, 2)
        ]
    )
    assert sweeps.is_sweep(made)
    assert list(sweeps.settings_of(made)) == ["alpha", "part.beta"]
    assert not sweeps.is_sweep(made[made["settings"] == made["settings"].iloc[0]])


def test_settings_of_different_draws_are_no_sweep() -> None:
    made = [row(seed=s, settings={"alpha": s}) for s in (1, 2)]
    assert not sweeps.is_sweep(pandas.DataFrame(made))
    made = [row(shots=k, settings={"alpha": k}) for k in (1, 2)]
    assert not sweeps.is_sweep(pandas.DataFrame(made))


def test_settings_that_vary_are_numbers_and_of_every_run() -> None:
    configs = [
        {"a": 1, "b": 2.5, "same": 7, "on": True, "word": "x", "part": {"c": 3}, "some": 1},
        {"a": 2, "b": 0.5, "same": 7, "on": False, "word": "y", "part": {"c": 4}, "some": None},
    ]
    made = pandas.DataFrame([row(config=c, seed=i) for i, c in enumerate(configs)])
    axes = sweeps.settings_of(made)
    assert axes.to_dict("list") == {"a": [1, 2], "b": [2.5, 0.5], "part.c": [3, 4]}
    assert list(axes.index) == list(made.index)
    more = pandas.DataFrame([row(config={"a": 1}, shots=k) for k in (1, 4)])
    assert sweeps.settings_of(more).to_dict("list") == {"shots": [1, 4]}
    empty = pandas.DataFrame([row(), row(seed=2)]).assign(config=None)
    assert sweeps.settings_of(empty).empty


def test_shots_alone_are_not_worth_a_line() -> None:
    assert not sweeps.worth_a_line([])
    assert not sweeps.worth_a_line(["shots"])
    assert sweeps.worth_a_line(["shots", "alpha"])


def test_a_line_runs_through_the_settings_and_ends_at_the_accuracy() -> None:
    made = alphas([1, 10, 100], beta=3)
    spec = sweeps.parallel(made, sweeps.settings_of(made))
    points = pandas.DataFrame(spec["data"]["values"])
    assert list(points["axis"].unique()) == ["alpha", "accuracy, %"]
    assert set(points["run"]) == set(range(6))
    by_axis = {axis: own.set_index("run") for axis, own in points.groupby("axis")}
    # Few values stand at equal distances; accuracies where they are.
    assert by_axis["alpha"]["height"].tolist() == [0, 0, 0.5, 0.5, 1, 1]
    assert by_axis["accuracy, %"]["value"].tolist() == [71, 81, 80, 90, 170, 180]
    assert by_axis["accuracy, %"]["height"].tolist() == pytest.approx(
        [(v - 71) / 109 for v in (71, 81, 80, 90, 170, 180)], abs=1e-6
    )
    ticks = pandas.DataFrame(spec["layer"][1]["data"]["values"])
    named = ticks.groupby("axis")["label"].agg(list).to_dict()
    assert named == {"alpha": ["1", "10", "100"], "accuracy, %": ["71", "180"]}
    assert spec["layer"][0]["encoding"]["x"]["sort"] == ["alpha", "accuracy, %"]


def test_many_values_stand_where_they_are() -> None:
    values = [float(v * v) for v in range(sweeps.FEW + 1)]
    made = alphas(values, seeds=(1,))
    spec = sweeps.parallel(made, sweeps.settings_of(made))
    points = pandas.DataFrame(spec["data"]["values"])
    heights = points[points["axis"] == "alpha"]["height"].tolist()
    assert heights == pytest.approx([v / values[-1] for v in values], abs=1e-6)
    ticks = pandas.DataFrame(spec["layer"][1]["data"]["values"])
    assert ticks[ticks["axis"] == "alpha"]["label"].tolist() == ["0", "144"]


def test_runs_that_are_all_as_good_have_a_height() -> None:
    made = alphas([1, 2], seeds=(1,)).assign(accuracy=50.0)
    points = pandas.DataFrame(sweeps.parallel(made, sweeps.settings_of(made))["data"]["values"])
    assert not points["height"].isna().any()


def test_an_effect_is_against_the_mean_of_the_draw() -> None:
    made = alphas([1, 2, 6])
    spec = sweeps.main_effect(made, sweeps.settings_of(made)["alpha"])
    points = pandas.DataFrame(spec["data"]["values"])
    # The second seed is ten points easier, which no alpha deserves.
    assert points["value"].tolist() == [1, 1, 2, 2, 6, 6]
    assert points["y"].tolist() == [-2, -2, -1, -1, 3, 3]
    assert len(spec["layer"]) == 2  # the means joined
    assert spec["layer"][1]["encoding"]["y"]["aggregate"] == "mean"
    assert spec["layer"][0]["encoding"]["y"]["title"] == "accuracy against the mean of its draw"


def test_a_draw_with_one_run_says_nothing_of_an_effect() -> None:
    made = pandas.concat([alphas([1, 2], seeds=(1,)), alphas([9], seeds=(3,))], ignore_index=True)
    spec = sweeps.main_effect(made, sweeps.settings_of(made)["alpha"])
    assert [p["seed"] for p in spec["data"]["values"]] == [1, 1]


def test_the_effect_of_shots_is_the_accuracy_itself() -> None:
    made = pandas.DataFrame(
        [row(shots=k, seed=s, accuracy=50.0 + k) for k in (1, 4) for s in (1, 2)]
    )
    spec = sweeps.main_effect(made, sweeps.settings_of(made)["shots"])
    assert [p["y"] for p in spec["data"]["values"]] == [51, 51, 54, 54]
    assert spec["layer"][0]["encoding"]["y"]["title"] == "accuracy, %"


def test_many_values_have_no_means_to_join() -> None:
    made = alphas([float(v) for v in range(sweeps.FEW + 1)], seeds=(1,))
    spec = sweeps.main_effect(made, sweeps.settings_of(made)["alpha"])
    assert len(spec["layer"]) == 1
    assert spec["layer"][0]["encoding"]["x"]["type"] == "quantitative"
    few = alphas([float(v) for v in range(sweeps.FEW)], seeds=(1,))
    assert len(sweeps.main_effect(few, sweeps.settings_of(few)["alpha"])["layer"]) == 2


def test_both_figures_can_be_drawn(tmp_path: Any) -> None:
    made = alphas([0.5, 3.0])
    axes = sweeps.settings_of(made)
    for name, spec in (
        ("parallel", sweeps.parallel(made, axes)),
        ("effect", sweeps.main_effect(made, axes["alpha"])),
    ):
        write_figure(spec, tmp_path / f"{name}.svg")
        assert "0.5" in (tmp_path / f"{name}.svg").read_text()
    assert not math.isnan(axes["alpha"].sum())
