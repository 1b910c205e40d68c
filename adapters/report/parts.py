"""What a report is made of: chapters with tables and figures, and the words that name them."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from featcache import notebook

Spec = dict[str, Any]  # a Vega-Lite specification, or a part of one


@dataclass(frozen=True)
class Table:
    """A table that is written as Markdown and LaTeX; `bold` cells, a rule before rows `rules`."""

    name: str
    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    bold: Collection[tuple[int, int]] = ()
    rules: Collection[int] = ()


@dataclass(frozen=True)
class Figure:
    """A Vega-Lite specification that is written as PNG and SVG and shown in the page."""

    name: str
    title: str
    spec: Spec
    note: str = ""

    def _repr_html_(self) -> str:
        import vl_convert

        return notebook.picture(self.title, vl_convert.vegalite_to_svg(self.spec), self.note)


@dataclass(frozen=True)
class Part:
    """A chapter of the page; a `folded` one opens on a click."""

    title: str
    text: str = ""
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    parts: Sequence[Part] = ()
    folded: bool = False

    def _repr_html_(self) -> str:
        """Title, text and figures, of the parts within as well."""
        told = f"<h3>{escape(self.title)}</h3><p>{escape(self.text)}</p>"
        within = [part._repr_html_() for part in self.parts if part.pictured]
        return told + "".join([*(figure._repr_html_() for figure in self.figures), *within])

    @property
    def pictured(self) -> bool:
        """Whether there is a figure in it, or in a part within."""
        return bool(self.figures) or any(part.pictured for part in self.parts)


def slug(*parts: object) -> str:
    """A file name without suffix."""
    text = "-".join(str(part) for part in parts)
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "figure"


EVERY = 0  # as a number of shots: all pictures


def of_shots(number: int) -> str:
    """Such as `1 shot`, `4 shots`, `all pictures`."""
    return "all pictures" if number == EVERY else several(number, "shot")


def several(number: int, thing: str) -> str:
    """Such as `1 run`, `3 runs`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
