"""The tables that can be made anew: what data, backbone, text, views, seeds and methods each takes.

They lie in `data/reproduce.json`; their numbers in `data/published.json`, and those of the demo
backbone, which this project made itself, in `data/published-demo.json`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from adapters import registry, unavailable
from adapters.expression import leaves
from adapters.report.published import OPENAI, Published, published, read
from adapters.reproducing.text import OWN_TEXT
from featcache.errors import UnknownNameError
from featcache.resources import data_path

TEST, UNKNOWN, HONEST = "oracle-test", "unknown", "full-val"


@dataclass(frozen=True)
class Line:
    """A method of a table: what it is called there, here, its settings, and known differences.

    `extra` is what the method reads beside embeddings; `source` where it is not the table's.
    """

    published: str
    method: str = ""
    source: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    extra: str = ""
    reasons: Sequence[str] = ()

    @property
    def fitted(self) -> str:
        """The method, or expression, that is fitted for it."""
        return self.method or self.published

    @property
    def refusal(self) -> str:
        """Why it cannot be fitted here; empty where it can."""
        for leaf in leaves(self.fitted):
            if leaf not in registry.names():
                known = unavailable.METHODS.get(leaf)
                return known.reason if known else "is not one of the methods"
        return ""


@dataclass(frozen=True)
class Reproduction:
    """A table: `datasets` to fit on, `on` to score on as well, `prompts` where not a set's own.

    `views` augmented crops of at least `view_scale` of a picture stand for those of the source.
    `only` says why nothing of it can be run here, so that it has published rows alone. A bank that
    was asked for takes the place of all its text.
    """

    name: str
    title: str
    task: str
    source: str
    backbone: str
    datasets: Sequence[str]
    shots: Sequence[int]
    seeds: Sequence[int]
    lines: Sequence[Line]
    views: int = 0
    view_scale: float = 0.08
    on: Sequence[str] = ()
    prompts: Mapping[str, str] = field(default_factory=dict)
    reasons: Sequence[str] = ()
    only: str = ""
    asked_bank: str = ""

    @property
    def rows(self) -> list[Published]:
        """All that was published for its task on its data."""
        return [row for row in published() if row.table == self.task]

    @property
    def extras(self) -> list[str]:
        """What its methods read beside embeddings."""
        return sorted({line.extra for line in self.lines} - {""})

    def bank(self, dataset: str) -> str:
        """The prompts of a data set."""
        return self.asked_bank or self.prompts.get(dataset, OWN_TEXT)

    def row(self, line: Line) -> Published:
        """What was published for a line; each has one row."""
        source = line.source or self.source
        model = self.backbone.removesuffix(OPENAI)
        wanted = (self.task, line.published, model, source)
        (found,) = (
            row
            for row in (*published(), *_own())
            if (row.table, row.method, row.backbone, row.source) == wanted
        )
        return found

    def policy(self, line: Line, dataset: str, on_test: bool) -> str:
        """Who may choose settings: as the source did, but on test only where that is allowed."""
        theirs = self.row(line).policy(dataset)
        return HONEST if theirs == UNKNOWN or (theirs == TEST and not on_test) else theirs


@cache
def tables() -> tuple[Reproduction, ...]:
    """Every table, in the order of the shipped file."""
    rows = json.loads(data_path("reproduce.json").read_text(encoding="utf-8"))
    return tuple(
        Reproduction(**{**row, "lines": tuple(Line(**line) for line in row["lines"])})
        for row in rows
    )


def named(name: str) -> Reproduction:
    """The table of that name. Raises `UnknownNameError`."""
    found = {table.name: table for table in tables()}
    if name not in found:
        raise UnknownNameError("table", name, found, "See `adapters reproduce list`.")
    return found[name]


@cache
def _own() -> tuple[Published, ...]:
    return tuple(read(data_path("published-demo.json").read_text(encoding="utf-8")))
