"""Seconds of a fit: of one kind wherever they are averaged, and which is said."""

from __future__ import annotations

import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.report.timing import CLOCK, kind, medians, timed, told

rows_of = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["cpu", "H100", None]), st.booleans()),
    min_size=1,
)


@given(rows_of)
def test_a_group_has_seconds_of_one_kind(made: list[tuple[str, str | None, bool]]) -> None:
    """The processor's (odd here) where every row was made by it and has them, else the clock's."""
    columns = ["line", "device", "kept"]
    rows = pandas.DataFrame(made, columns=columns).assign(fit_seconds=2.0)
    rows["fit_processor_seconds"] = [1.0 if kept else None for kept in rows["kept"]]
    for _, own in timed(rows, ["line"]).groupby("line"):
        whole = own["kept"].all() and not (own["device"] == "H100").any()
        assert set(own["seconds"]) == {1.0 if whole else 2.0}
        assert set(own["clock"]) == {not whole}


def test_rows_of_before_and_rows_without_a_fit() -> None:
    before = pandas.DataFrame({"line": ["a"], "fit_seconds": [2.0]})
    assert timed(before, ["line"])[["seconds", "clock"]].values.tolist() == [[2.0, True]]
    asked = before.assign(fit_seconds=None, fit_processor_seconds=None)
    both = pandas.concat([asked, before.assign(fit_processor_seconds=1.0)])
    found = timed(both, ["line"])
    assert found["clock"].tolist() == [False, False]
    assert found["seconds"].tolist() == pytest.approx([float("nan"), 1.0], nan_ok=True)


@pytest.mark.parametrize(
    ("clock", "name", "marks"),
    [
        ([False, False], "processor seconds", ["", ""]),
        ([True, True], "clock seconds", ["", ""]),
        ([False, True], "seconds", ["", CLOCK]),
    ],
)
def test_what_is_marked_is_told(clock: list[bool], name: str, marks: list[str]) -> None:
    rows = pandas.DataFrame({"line": ["a", "b"], "seconds": [1.0, 2.0], "clock": clock})
    more = rows.assign(seconds=3.0, clock=clock)
    found = medians(pandas.concat([rows, more, rows.assign(line="c", seconds=None)]))
    assert found["seconds"].to_dict() == {"a": 2.0, "b": 2.5}
    assert (kind(found), found["mark"].tolist()) == (name, marks)
    assert (CLOCK.strip() in told(found)) == (name == "seconds")
