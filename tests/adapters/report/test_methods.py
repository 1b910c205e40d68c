"""The table of the methods: a row for each, of what each declares."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from markdown_it import MarkdownIt

from adapters import registry
from adapters.report import methods
from adapters.report.methods import HEADS, methods_table


def rows(text: str) -> list[list[str]]:
    """Cells of the lines below the heads."""
    _, _, *lines = text.splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_every_method_has_a_row_and_no_other() -> None:
    assert [row[0] for row in rows(methods_table())] == [f"`{n}`" for n in registry.names()]


@pytest.mark.parametrize("name", registry.names())
def test_a_row_says_what_the_method_declares(name: str) -> None:
    about = registry.plain(name)
    (row,) = (row for row in rows(methods_table()) if row[0] == f"`{name}`")
    _, source, status, new, stacks = row
    assert source == about.source.strip()
    assert status == about.status.strip()
    assert new.startswith("yes") == (about.with_text is not None)
    assert about.new_classes in new
    assert stacks == ("yes" if about.prepare is not None else "")


def test_the_table_is_markdown_of_five_columns() -> None:
    page = MarkdownIt("commonmark").enable("table").render(methods_table())
    widths = {len(re.findall(r"<t[hd]", line)) for line in page.split("<tr>")[1:]}
    assert widths == {len(HEADS)} == {5}
    assert page.count("<tr>") == 1 + len(registry.names())
    assert re.findall("<th>(.*?)</th>", page) == list(HEADS)


def test_words_of_each_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: no new classes; new classes; new classes on a condition; stacked."""
    plain = {"source": "S 2020", "status": "as published", "new_classes": ""}
    made = {
        "a": SimpleNamespace(**plain, with_text=None, prepare=None),
        "b": SimpleNamespace(**plain, with_text=print, prepare=print),
        "c": SimpleNamespace(**plain | {"new_classes": "scored by text"}, with_text=print,
                             prepare=None),
    }  # fmt: skip
    monkeypatch.setattr(methods, "registry", SimpleNamespace(names=lambda: made, plain=made.get))
    assert methods_table() == (
        "| method | source | status | new classes by name | stacks |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| `a` | S 2020 | as published | no |  |\n"
        "| `b` | S 2020 | as published | yes | yes |\n"
        "| `c` | S 2020 | as published | yes, scored by text |  |"
    )
