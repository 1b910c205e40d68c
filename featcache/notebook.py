"""How things show themselves in a notebook: a few facts as a line, or as a small table."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any


def here() -> bool:
    """Whether this runs in a notebook."""
    from rich.console import Console

    return Console().is_jupyter


def picture(title: str, svg: str, note: str = "") -> str:
    """A drawing with its title and note as HTML; names within it meet no others on the page."""
    content = b64encode(svg.encode()).decode()
    below = f"<p><small>{escape(note)}</small></p>" if note else ""
    image = f'<img alt="{escape(title)}" src="data:image/svg+xml;base64,{content}">'
    return f"<p><b>{escape(title)}</b></p>{image}{below}"


def line(kind: str, name: str, facts: Mapping[str, Any]) -> str:
    """Such as `Entry(digits/demo/1a2b: classes 10)`; facts that are empty stay out."""
    told = ", ".join(f"{key} {value}" for key, value in facts.items() if value not in ("", None))
    return f"{kind}({name}: {told})" if told else f"{kind}({name})"


def facts(name: str, told: Mapping[str, Any]) -> str:
    """The same as HTML, a row for each fact."""
    return table(
        name, ("", ""), [(key, value) for key, value in told.items() if value not in ("", None)]
    )


def table(title: str, heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table with a title as HTML; heads that are all empty are left out."""
    head = "".join(f"<th>{escape(each)}</th>" for each in heads)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows
    )
    top = f"<tr>{head}</tr>" if any(heads) else ""
    return f"<b>{escape(title)}</b><table>{top}{body}</table>"


def several(counts: Mapping[str, int]) -> str:
    """Such as `train 1,000, test 500`."""
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())
