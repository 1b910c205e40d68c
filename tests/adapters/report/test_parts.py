"""Parts of a report: words and file names that hold for whatever stands in a results file."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.report.parts import Figure, Part, Table, several, slug


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (("Over shots", "RN50:openai", 16), "over-shots-rn50-openai-16"),
        (("a", "", "b"), "a-b"),
        (("../../etc", "passwd"), "etc-passwd"),
        (("ä", "€"), "figure"),
        ((), "figure"),
    ],
)
def test_file_names(parts: tuple[object, ...], name: str) -> None:
    assert slug(*parts) == name


@given(st.lists(st.text() | st.integers()))
def test_a_file_name_leads_nowhere_else(parts: list[object]) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug(*parts))


def test_one_run_and_several_runs() -> None:
    assert several(1, "run") == "1 run"
    assert several(0, "run") == "0 runs"
    assert several(12_345, "data set") == "12,345 data sets"


def test_parts_begin_empty_and_do_not_change() -> None:
    part, table = Part("title"), Table("name", "title", ["a"], [["1"]])
    assert (part.text, part.figures, part.tables, part.parts, part.folded) == (
        "",
        (),
        (),
        (),
        False,
    )
    assert (table.note, table.bold, table.rules) == ("", (), ())
    for each in (part, table, Figure("name", "title", {})):
        with pytest.raises(FrozenInstanceError):
            each.title = "another"  # type: ignore[misc]
