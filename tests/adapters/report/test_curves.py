"""Figures of accuracy: what is drawn is what the rows say, and no two names hide each other."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.report import curves
from adapters.report.curves import apart, interval, pareto
from adapters.report.vega import GREY, looks
from adapters.report.write import write_figure

accuracies = st.floats(0, 100).map(lambda value: round(value, 2))
some = st.lists(accuracies, min_size=2, max_size=8)


@settings(deadline=None)
@given(some, st.floats(0.1, 20))
def test_labels_keep_apart_and_in_order(values: list[float], gap: float) -> None:
    placed = np.array(apart(values, gap))
    order = np.argsort(values, kind="stable")
    assert (np.diff(placed[order]) >= gap - 1e-6).all()
    # Where there is room for all, nothing moves; and the middle of all stays.
    assert placed.mean() == pytest.approx(np.mean(values), abs=1e-6)
    if len(values) < 2 or np.diff(np.sort(values)).min() >= gap:
        assert placed == pytest.approx(values, abs=1e-6)


@given(st.lists(st.tuples(accuracies, accuracies), min_size=1, max_size=12))
def test_pareto_front(points: list[tuple[float, float]]) -> None:
    costs, gains = zip(*points, strict=True)
    front = [p for p, on in zip(points, pareto(costs, gains), strict=True) if on]
    # Along the front the dearer is the better, and everything else has a point of it to blame.
    dearer = [gain for _, gain in sorted(set(front))]
    assert dearer == sorted(set(dearer))
    for cost, gain in points:
        assert any(c <= cost and g >= gain for c, g in front)


def test_names_that_are_too_close_share_their_place() -> None:
    assert apart([10, 10], 4) == [8, 12]
    assert apart([10, 20, 30], 4) == [10, 20, 30]
    assert apart([30, 10, 11], 4) == pytest.approx([30, 8.5, 12.5])
    assert apart([5], 4) == [5]


def test_a_point_that_another_equals_stays_on_the_front() -> None:
    assert pareto([1, 1, 2], [5, 5, 5]) == [True, True, False]
    assert pareto([1, 2, 3], [5, 4, 6]) == [True, False, True]


def test_an_interval_that_is_none_is_not_said() -> None:
    assert interval(81.239, 1.5) == "81.24 ± 1.50"
    assert interval(81.239, 0) == interval(81.239, math.nan) == "81.24"


def shots_points() -> pandas.DataFrame:
    return pandas.DataFrame(
        [
            {"line": line, "shots": k, "mean": 60.0 + k + i, "half": half, "n": 3}
            for i, line in enumerate(("gda", "zero-shot"))
            for k, half in ((16, 2.0), (1, math.nan), (4, 0.5))
        ]
    )


def test_lines_over_shots_stand_at_equal_distances_and_side_by_side() -> None:
    spec = curves.over_shots(shots_points(), looks(["gda", "zero-shot"]))
    points = pandas.DataFrame(spec["data"]["values"]).set_index(["line", "shots"])
    places = points["x"].unstack()
    assert places.loc["gda"].tolist() == pytest.approx([-0.0225, 0.9775, 1.9775])
    assert places.loc["zero-shot"].tolist() == pytest.approx([0.0225, 1.0225, 2.0225])
    own = points.loc[("gda", 16)]
    assert (own["low"], own["mean"], own["high"], own["interval"]) == (74, 76, 78, "76.00 ± 2.00")
    alone = points.loc[("gda", 1)]
    assert (alone["low"], alone["high"], alone["interval"]) == (61, 61, "61.00")
    axis = spec["layer"][0]["encoding"]["x"]["axis"]
    assert axis["values"] == [0, 1, 2]
    assert axis["labelExpr"] == (
        "datum.value == 0 ? '1' : datum.value == 1 ? '4' : datum.value == 2 ? '16' : ''"
    )
    scale = spec["layer"][0]["encoding"]["color"]["scale"]
    assert scale["domain"] == ["gda", "zero-shot"]
    assert scale["range"][1] == GREY


def test_a_line_is_named_once_at_its_end() -> None:
    points = shots_points()
    points = points[(points["line"] != "gda") | (points["shots"] < 16)]
    (dashes, dot, text) = curves.over_shots(points, looks(["gda"]))["layer"][-3:]
    named = pandas.DataFrame(text["data"]["values"]).set_index("line")
    assert named["shots"].to_dict() == {"gda": 4, "zero-shot": 16}
    assert set(named["edge"]) == {2.4}
    assert named["y"].to_dict() == named["mean"].to_dict()  # 64 and 77: there is room
    assert dashes["data"] == dot["data"] == text["data"]


def test_names_at_ends_that_are_close_are_moved_apart_by_the_height_of_a_name() -> None:
    points = shots_points().assign(mean=lambda p: p["mean"].where(p["shots"] < 16, 76.0))
    text = curves.over_shots(points, looks(["gda"]))["layer"][-1]
    low, high = sorted(point["y"] for point in text["data"]["values"])
    # From 61 to 78 is nine tenths of the height.
    assert high - low == pytest.approx((78 - 61) * curves.LABEL / (0.9 * curves.HEIGHT), abs=1e-4)
    assert (low + high) / 2 == pytest.approx(76, abs=1e-4)


def test_the_other_lines_fade_under_the_pointer() -> None:
    dot = curves.over_shots(shots_points(), looks(["gda"]))["layer"][2]
    param = dot["params"][0]
    opacity = dot["encoding"]["opacity"]
    assert opacity["condition"] == {"param": param["name"], "value": 1}
    assert 0 < opacity["value"] < 0.5
    assert param["select"]["fields"] == ["line"]


def seconds_points(**more: Any) -> pandas.DataFrame:
    made = {
        "line": ["slow", "fast", "worse", "gda"],
        "mean": [90.0, 70.0, 60.0, 80.0],
        "half": [1.0, math.nan, 1.0, 1.0],
        "seconds": [10.0, 0.0, 0.1, 1.0],
    }
    return pandas.DataFrame(made | more)


def test_points_against_seconds_tell_the_front_and_those_without_a_colour() -> None:
    spec = curves.against_seconds(seconds_points(), looks(["gda", "slow", "worse"]))
    points = pandas.DataFrame(spec["data"]["values"]).set_index("line")
    assert points["front"].to_dict() == {"slow": True, "fast": True, "worse": False, "gda": True}
    assert points["shown"].to_dict() == {
        "slow": "slow", "fast": "others", "worse": "worse", "gda": "gda",
    }  # fmt: skip
    assert points["seconds"]["fast"] == 1e-4  # too short for the clock, and 0 has no logarithm
    assert points["interval"]["fast"] == "70.00"
    assert points["y"].to_dict() == pytest.approx(points["mean"].to_dict())  # all far apart
    assert spec["layer"][1]["encoding"]["x"]["scale"]["type"] == "log"
    filled = spec["layer"][2]["encoding"]["fillOpacity"]
    assert filled == {"condition": {"test": "datum.front", "value": 1}, "value": 0}


def test_names_of_points_in_one_place_do_not_hide_each_other() -> None:
    near = seconds_points(mean=[80.0, 80.0, 60.0, 90.0], seconds=[1.0, 1.0, 0.01, 100.0])
    points = curves.against_seconds(near, looks(["gda"]))["data"]["values"]
    gap = 30 * curves.LABEL / curves.HEIGHT
    assert points[1]["y"] - points[0]["y"] == pytest.approx(gap, abs=1e-4)
    assert [points[2]["y"], points[3]["y"]] == [60, 90]


def test_names_stand_towards_the_middle_so_that_none_is_cut_off() -> None:
    """A narrow page has no room right of the slowest."""
    spec = curves.against_seconds(seconds_points(), looks(["gda", "slow", "worse"]))
    sides = {point["line"]: point["side"] for point in spec["data"]["values"]}
    assert sides == {"fast": "left", "worse": "right", "gda": "right", "slow": "right"}
    assert [layer["mark"]["align"] for layer in spec["layer"][-2:]] == ["left", "right"]
    for layer, side in zip(spec["layer"][-2:], ("left", "right"), strict=True):
        assert f"datum.side == '{side}'" in layer["transform"][0]["filter"]
        assert layer["mark"]["limit"] == {"expr": "min(150, width / 2)"}


def test_an_axis_says_what_a_point_is_also_where_all_are_equal(tmp_path: Path) -> None:
    """A lone 93.54 stood at a tick that was called 94."""
    one = seconds_points(mean=[93.54] * 4, half=[0.0] * 4, seconds=[2e-4] * 4)
    y = curves.against_seconds(one, looks([]))["layer"][2]["encoding"]
    assert y["y"]["scale"]["domain"] == pytest.approx([93.04, 94.04])
    assert y["x"]["scale"]["domain"] == pytest.approx([1e-4, 4e-4])
    points = shots_points().assign(mean=93.54, half=0.0)
    spec = curves.over_shots(points, looks([]))
    assert spec["layer"][0]["encoding"]["y"]["scale"]["domain"] == pytest.approx([93.04, 94.04])
    write_figure(spec, tmp_path / "a.svg")
    drawn = (tmp_path / "a.svg").read_text()
    ticks = [float(tick) for tick in re.findall(r">(9\d\.\d+)</text>", drawn)]
    assert min(ticks) <= 93.54 <= max(ticks)


def test_a_crowd_of_names_stays_within_the_figure() -> None:
    """Twenty of them made an axis of accuracy that went to 110."""
    n = 20
    crowd = pandas.DataFrame(
        {
            "line": [f"a long name {i}" for i in range(n)], "half": 0.0,
            "mean": [90 + (7 * i % 5) for i in range(n - 1)] + [70.0],
            "seconds": [0.1 + 0.01 * (i % 7) for i in range(n - 1)] + [0.01],
        }
    )  # fmt: skip
    shown = list(crowd["line"][:6])
    spec = curves.against_seconds(crowd, looks(crowd["line"]), shown=shown)
    values = spec["data"]["values"]
    assert {each["line"] for each in values if each["shown"] != "others"} == {*shown}
    named = [each for each in values if each["shown"] != "others"]
    assert all(70 <= each["y"] <= 94 for each in values)
    # Here all of one side overlap in breadth.
    heights = sorted(each["y"] for each in named if each["side"] == "right")
    gap = 24 * curves.LABEL / curves.HEIGHT
    assert all(b - a > 0.9 * gap for a, b in pairwise(heights))


@pytest.mark.parametrize("half", [0.0, 2.0])
def test_names_that_are_moved_apart_lengthen_no_axis_beyond_the_bars(half: float) -> None:
    """Two at 99.9 have an axis to 100, not to 105."""
    points = shots_points().assign(mean=99.9, half=half)
    named = curves.over_shots(points, looks([]))["layer"][-1]["data"]["values"]
    assert max(each["y"] for each in named) <= min(99.9 + half, 100)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0.02, 40, {0.01, 0.1, 1, 10, 100}), (2e-4, 3e-4, {1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3})],
)
def test_seconds_have_ticks_at_powers_of_ten(low: float, high: float, ticks: set[float]) -> None:
    points = seconds_points(seconds=[low, high, low, high])
    axis = curves.against_seconds(points, looks([]))["layer"][2]["encoding"]["x"]["axis"]
    assert {*axis["values"]} >= {tick for tick in ticks if low <= tick <= high}
    assert len(axis["values"]) <= 9


def test_no_bar_goes_beyond_a_hundred_per_cent() -> None:
    values = curves.over_shots(shots_points().assign(half=80.0), looks([]))["data"]["values"]
    assert {(each["low"], each["high"]) for each in values} == {(0, 100)}
    assert values[0]["interval"].endswith("± 80.00")


def test_one_point_alone_can_be_drawn(tmp_path: Path) -> None:
    alone = seconds_points().head(1)
    write_figure(curves.against_seconds(alone, looks(["slow"])), tmp_path / "a.svg")
    assert "slow" in (tmp_path / "a.svg").read_text()
    one = shots_points().head(1)
    write_figure(curves.over_shots(one, looks(["gda"])), tmp_path / "b.svg")
    assert "gda" in (tmp_path / "b.svg").read_text()
