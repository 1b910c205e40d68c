"""The chapter on confidence: what it draws is what its rows add up to."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pandas
import pytest

from adapters.confidence.measures import BINS, COVERAGES, Confidence
from adapters.report.confidence import LEAST, part, reliability, risk
from adapters.report.vega import looks
from adapters.report.write import write_figure
from tests.adapters.confidence.test_measures import made, measured
from tests.adapters.rows import halves, row, section_of


def confidence(seed: int, n: int = 90) -> Confidence:
    found = measured(*made(n, seed=seed))
    assert found is not None
    return found


def rows(**more: object) -> pandas.DataFrame:
    return pandas.DataFrame(
        [
            row(method=method, seed=seed, shots=shots, **confidence(seed + shots).row, **more)
            for method in ("gda", "zero-shot")
            for seed in (1, 2)
            for shots in (1, 4)
        ]
    )


def test_bins_of_several_rows_are_pooled() -> None:
    """As though all pictures had been one test set."""
    logits, labels = made(200)
    whole = measured(logits, labels)
    parts = [measured(logits[i], labels[i]) for i in (slice(0, 50), slice(50, 200))]
    assert whole is not None
    told = pandas.DataFrame([row(line="gda", **each.row) for each in parts if each])
    values = reliability(told, looks(["gda"]))["data"]["values"]
    filled = [each for each in whole.bins if each[0] >= LEAST]
    assert len(filled) < sum(each[0] > 0 for each in whole.bins)
    assert [each["pictures"] for each in values] == [n for n, _, _ in filled]
    for each, (_, sure, right) in zip(values, filled, strict=True):
        assert each["confidence"] == pytest.approx(100 * sure, abs=1e-3)
        assert each["accuracy"] == pytest.approx(100 * right, abs=1e-3)
    assert len(whole.bins) == BINS


def test_few_pictures_are_drawn_where_a_line_has_no_fuller_bins() -> None:
    told = pandas.DataFrame([row(line="gda", **confidence(1, n=8).row)])
    values = reliability(told, looks(["gda"]))["data"]["values"]
    assert 0 < max(each["pictures"] for each in values) < LEAST


def test_lines_of_one_colour_differ_and_are_named_at_their_ends() -> None:
    """Nine lines have seven colours; a legend of these told nobody which is which."""
    lines = [f"line {i}" for i in range(9)]
    told = pandas.DataFrame([row(line=n, **confidence(i).row) for i, n in enumerate(lines)])
    for figure in (reliability, risk):
        layers = figure(told, looks(lines))["layer"]
        line, dot, _, mark, text = layers[-5:]
        seen = zip(
            line["encoding"]["color"]["scale"]["range"],
            [str(each) for each in line["encoding"]["strokeDash"]["scale"]["range"]],
            dot["encoding"]["shape"]["scale"]["range"],
            strict=True,
        )
        colours, dashes, shapes = zip(*seen, strict=True)
        assert len(set(colours)) == 7
        assert len({*zip(colours, dashes, strict=True)}) == 9
        assert len({*zip(colours, shapes, strict=True)}) == 9
        assert sorted(each["line"] for each in text["data"]["values"]) == lines
        assert mark["data"] == text["data"]
        heights = sorted(each["y"] for each in text["data"]["values"])
        assert min(b - a for a, b in pairwise(heights)) > 0
        assert heights[-1] <= 100


def test_the_curve_is_the_mean_error_of_the_rows() -> None:
    both = [confidence(1), confidence(2)]
    told = pandas.DataFrame([row(line="gda", **each.row) for each in both])
    values = risk(told, looks(["gda"]))["data"]["values"]
    assert [each["coverage"] for each in values] == [*COVERAGES]
    expected = [100 - (a + b) / 2 for a, b in zip(both[0].curve, both[1].curve, strict=True)]
    assert [each["error"] for each in values] == pytest.approx(expected, abs=1e-5)


def test_a_chapter_at_the_most_shots_with_its_numbers(tmp_path: Path) -> None:
    section = section_of(rows(ece_calibrated=1.0))
    (found,) = part(section, ["zero-shot", "gda"], ["gda"], looks(["gda"]))
    assert found.title == "Confidence at 4 shots"
    (table,) = found.tables
    assert table.heads[:3] == ["method", "ECE, %", "calibrated"]
    mean = (confidence(5).ece + confidence(6).ece) / 2
    assert table.rows[0][:3] == ["zero-shot", f"{mean:.1f}", "1.0"]
    for figure in found.figures:
        assert {each["line"] for each in figure.spec["data"]["values"]} == {"gda"}
        write_figure(figure.spec, tmp_path / f"{figure.name}.svg")
        assert "<svg" in (tmp_path / f"{figure.name}.svg").read_text()


def test_rows_that_do_not_say_it_have_no_chapter() -> None:
    assert part(section_of(pandas.DataFrame([row()])), ["gda"], ["gda"], looks(["gda"])) == []


def test_what_halves_add_up_to_has_no_chapter() -> None:
    from adapters.report.rows import runs

    told = halves(80, 60, 68.6, confidence=json.dumps(confidence(1).row["confidence"]))
    found = {s.measure: part(s, ["gda"], ["gda"], looks(["gda"])) for s in
             runs(pandas.DataFrame(told)).sections()}  # fmt: skip
    assert {name: len(parts) for name, parts in found.items()} == {
        "base": 1, "new": 1, "harmonic mean": 0
    }  # fmt: skip
