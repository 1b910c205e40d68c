"""A report on disk: one page that needs nothing else, and each figure and table as files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from adapters.report.parts import Figure, Part, Table
from adapters.report.tables import escape_latex, escape_markdown, latex, markdown
from featcache.errors import ConfigError
from featcache.files import replace

SCALE = 2  # pixels of a PNG to each of a figure


def write(folder: Path, title: str, text: str, parts: Sequence[Part]) -> Path:
    """Write `report.html`, `figures/*.png, *.svg` and `tables/*.md, *.tex`; return the page."""
    for figure in figures(parts):
        places = [folder / "figures" / f"{figure.name}{suffix}" for suffix in (".svg", ".png")]
        write_figure(figure.spec, *places)
    for table in tables(parts):
        write_table(table, folder / "tables")
    page = folder / "report.html"
    replace(page, html(title, text, parts))
    return page


def write_figure(spec: dict[str, Any], *paths: Path) -> None:
    """Draw a Vega-Lite specification; the suffix of each path is svg, png, pdf or html.

    Raises `ConfigError` for another suffix.
    """
    import vl_convert

    svg = vl_convert.vegalite_to_svg(spec)
    for path in paths:
        if path.suffix == ".svg":
            replace(path, svg)
        elif path.suffix == ".png":
            replace(path, vl_convert.svg_to_png(svg, scale=SCALE))
        elif path.suffix == ".pdf":
            replace(path, vl_convert.svg_to_pdf(svg))
        elif path.suffix == ".html":
            part = Part("", figures=[Figure(path.stem, path.stem, spec)])
            replace(path, html(path.stem, "", [part]))
        else:
            raise ConfigError(f"{path} is no picture; take one of .svg, .png, .pdf and .html.")


def write_table(table: Table, folder: Path) -> None:
    """Write a table with its title and note, as Markdown and as a LaTeX float."""
    body = markdown(table.heads, table.rows, table.bold)
    text = f"**{escape_markdown(table.title)}**\n\n{body}\n\n{escape_markdown(table.note)}\n"
    replace(folder / f"{table.name}.md", text)
    body = latex(table.heads, table.rows, table.bold, table.rules)
    caption = escape_latex(f"{table.title}. {table.note}".strip())
    text = (
        f"\\begin{{table}}\n\\centering\n\\caption{{{caption}}}\n\\label{{tab:{table.name}}}\n"
        f"{body}\n\\end{{table}}\n"
    )
    replace(folder / f"{table.name}.tex", text)


def html(title: str, text: str, parts: Sequence[Part]) -> str:
    """The page: charts by Vega-Lite, whose scripts are in it once."""
    from jinja2 import Environment
    from markupsafe import Markup

    template = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    specs = {figure.name: figure.spec for figure in figures(parts)}
    page = Environment(autoescape=True, trim_blocks=True).from_string(template)
    return page.render(
        title=title,
        text=text,
        parts=parts,
        library=Markup(_library()),
        specs=Markup(json.dumps(specs).replace("<", "\\u003c")),
    )


@cache
def _library() -> str:
    """Vega, Vega-Lite and vega-embed as one script."""
    import vl_convert

    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return bundle.replace("</script", "<\\/script")


def figures(parts: Sequence[Part]) -> Iterator[Figure]:
    """Every figure of the parts and of the parts within."""
    for part in parts:
        yield from part.figures
        yield from figures(part.parts)


def tables(parts: Sequence[Part]) -> Iterator[Table]:
    """Every table of the parts and of the parts within."""
    for part in parts:
        yield from part.tables
        yield from tables(part.parts)
