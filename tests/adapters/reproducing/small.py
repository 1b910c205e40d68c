"""A small table over made entries, with numbers that nobody published."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from adapters.report.published import ACCURACY, Published
from adapters.reproducing import tables
from adapters.reproducing.tables import Line, Reproduction
from tests.entries import NARROW

SMALL = Reproduction(
    "small", "two sets", "few-shot", "a page", NARROW, ("animals", "beasts"), (1, 2), (1, 2),
    (Line("zero-shot"), Line("gda"), Line("maple")), reasons=("it was made up",),
)  # fmt: skip


def row(method: str, numbers: dict[str, dict[str, float]], **changes: Any) -> Published:
    found = Published(
        "few-shot", method, NARROW, "a page", "L", True, 3, "full-val", "CuPL", "arithmetic",
        {ACCURACY: numbers}, mean_of=("animals", "beasts"),
    )  # fmt: skip
    return replace(found, **changes)


ROWS = (
    row("zero-shot", {"animals": {"0": 1.0}, "mean": {"0": 2.0}}, selection="none"),
    row(
        "gda",
        {"animals": {"1": 1.0, "2": 99.0, "16": 5.0}, "mean": {"1": 99.0}},
        selection_by_set={"animals": "oracle-test"},
    ),
    row("maple", {"animals": {"1": 50.0}}, selection="unknown"),
)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Reproduction:
    """The table, in place of those that ship."""
    monkeypatch.setattr(tables, "published", lambda: ROWS)
    monkeypatch.setattr(tables, "tables", lambda: (SMALL,))
    return SMALL
