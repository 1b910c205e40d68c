"""Columns by their names."""

from __future__ import annotations

import pytest

from featcache.datasets.kinds._columns import CLASS, LABEL, PICTURE, SPLIT, Columns, columns
from featcache.errors import DatasetError


def test_every_spelling_is_of_one_kind() -> None:
    every = [*PICTURE, *LABEL, *CLASS, *SPLIT]
    assert len(set(every)) == len(every)
    assert all(name == name.casefold() for name in every)


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (["path", "label"], Columns("path", "label", "", "")),
        (["Image", "Category", "id"], Columns("Image", "", "Category", "")),
        (["split", "FILE", "target", "class"], Columns("FILE", "target", "class", "split")),
    ],
)
def test_columns_are_told_in_any_order_and_case(found: list[str], told: Columns) -> None:
    assert columns(found, "rows.csv") == told


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (["url", "label"], "rows.csv has no column for the picture; it has 'url', 'label'.*path"),
        (["path", "tag"], "no column for the class; it has 'path', 'tag'.*label"),
        ([], "it has none"),
        (["path", "file", "label"], "the columns 'path', 'file', which say the same"),
    ],
)
def test_others_are_refused_with_what_was_found(found: list[str], why: str) -> None:
    with pytest.raises(DatasetError, match=why):
        columns(found, "rows.csv")
