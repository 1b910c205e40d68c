"""Building blocks of specifications, and looks that stay the same from figure to figure."""

from __future__ import annotations

import json
import math

import pandas
import pytest

from adapters.report.vega import (
    COLOURS,
    DASHES,
    GREY,
    SHAPES,
    STAR,
    Looks,
    data,
    layered,
    looks,
    name,
    number,
    tips,
)


def test_colours_and_shapes_are_seven_each_and_told_apart() -> None:
    assert len(set(COLOURS)) == len(set(SHAPES)) == 7
    assert GREY not in COLOURS


def test_fifty_lines_have_fifty_looks() -> None:
    lines = [f"line {i}" for i in range(49)]
    found = looks([*lines, "zero-shot", lines[0]])
    seen = {(found.colour[line], found.shape[line]) for line in lines}
    assert len(seen) == 49
    assert (found.colour["zero-shot"], found.shape["zero-shot"]) == (GREY, STAR)
    # Beyond that they begin again.
    again = looks([*lines, "more"])
    assert again.colour["more"] == COLOURS[0]
    assert looks(lines[:9]).colour == {"zero-shot": GREY} | {
        line: COLOURS[i % 7] for i, line in enumerate(lines[:9])
    }


def test_lines_of_one_colour_are_told_apart_by_dash_and_marker() -> None:
    """In print without colours seven markers are seen, and no line has its neighbour's dash."""
    lines = [f"line {i}" for i in range(28)]
    found = looks(lines)
    for i, line in enumerate(lines):
        for other in lines[i + 1 :]:
            if found.colour[line] == found.colour[other]:
                assert found.shape[line] != found.shape[other]
                assert found.dash[line] != found.dash[other]
    assert len({found.shape[line] for line in lines[:7]}) == 7
    dashes = [str(found.dash[line]) for line in lines]
    assert all(dashes.count(dash) == 7 for dash in dashes)


def test_lines_of_one_figure_share_a_colour_only_where_there_are_more_than_seven() -> None:
    """Whatever lines other figures of the report have; there were four greens of nine."""
    lines = [f"line {i:02}" for i in range(30)]
    figures = [lines[::4], lines[1::4], lines[:9], lines[20:]]
    found = looks(lines, figures)
    for figure in figures:
        seen = [(found.colour[n], found.shape[n], str(found.dash[n])) for n in figure]
        colours = [colour for colour, _, _ in seen]
        assert max(map(colours.count, colours)) <= 2
        assert len({(colour, shape) for colour, shape, _ in seen}) == len(figure)
        assert len({(colour, dash) for colour, _, dash in seen}) == len(figure)


def test_zero_shot_takes_no_colour_from_the_others() -> None:
    assert looks(["a", "zero-shot", "b"]).colour["b"] == looks(["a", "b"]).colour["b"]


def test_channels_are_those_of_the_lines_and_grey_for_others() -> None:
    channels = looks(["a", "b"]).channels(["b", "others"], "shown")
    ranges = [[COLOURS[1], GREY], [SHAPES[1], "circle"], [DASHES[1], DASHES[0]]]
    assert [*channels] == [
        name("shown", scale={"domain": ["b", "others"], "range": each}) for each in ranges
    ]
    assert [each["scale"]["domain"] for each in Looks().channels([])] == [[], [], []]


def test_rows_become_values_that_json_can_say() -> None:
    frame = pandas.DataFrame({"x": [1, 2], "y": [0.12345678, math.nan], "z": ["ä", None]})
    found = data(frame)
    assert found == {"values": [{"x": 1, "y": 0.123457, "z": "ä"}, {"x": 2, "y": None, "z": None}]}
    json.dumps(found, allow_nan=False)


def test_numbers_need_not_begin_at_nought() -> None:
    assert number("x") == {"field": "x", "type": "quantitative", "scale": {"zero": False}}
    titled = number("x", "X", scale={"nice": False}, axis=None)
    assert titled["scale"] == {"zero": False, "nice": False}
    assert (titled["title"], titled["axis"]) == ("X", None)
    # A logarithm has no nought, and Vega-Lite warns of it.
    assert number("x", scale={"type": "log"})["scale"] == {"type": "log"}


def test_names_have_no_legend_and_tips_their_titles() -> None:
    assert name("a", sort=None) == {
        "field": "a", "type": "nominal", "legend": None, "sort": None,
    }  # fmt: skip
    assert tips("a", b="seeds") == [
        {"field": "a", "title": "a"},
        {"field": "b", "title": "seeds"},
    ]


@pytest.mark.parametrize("more", [{}, {"width": 5, "title": "t"}])
def test_layers_lie_on_the_same_data(more: dict[str, object]) -> None:
    made = layered({"values": []}, [{"mark": "bar"}], **more)
    assert made["$schema"].endswith("/vega-lite/v6.json")
    assert (made["data"], made["layer"]) == ({"values": []}, [{"mark": "bar"}])
    assert (made["width"], made["height"]) == (more.get("width", 460), 320)
    assert made.get("title") == more.get("title")
