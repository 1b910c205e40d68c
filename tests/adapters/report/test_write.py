"""A report on disk: what is written where, and a page that nothing in a results file can break."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from adapters.report import write as room
from adapters.report.parts import Figure, Part, Table
from adapters.report.vega import layered
from adapters.report.write import figures, html, tables, write, write_figure, write_table
from featcache.errors import ConfigError

SPEC: dict[str, Any] = layered(
    {"values": [{"x": 1, "y": 2}, {"x": 2, "y": 1}]},
    [{"mark": "bar", "encoding": {"x": {"field": "x"}, "y": {"field": "y"}}}],
    width=100,
    height=50,
)
TABLE = Table("t", "A & b", ["method", "50 %"], [["x_1", "1.0"], ["y", "2.0"]], "Note.",
              {(1, 1)}, {1})  # fmt: skip
EVIL = '</script><script>alert("1 & 2")</script>'


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the scripts of Vega, a megabyte that most tests here do not look at."""
    monkeypatch.setattr(room, "_library", lambda: "library();")


def nested() -> list[Part]:
    """Figures and tables at each of two levels."""
    inner = Part("inner", figures=[Figure("b", "B", SPEC)], tables=[TABLE], folded=True)
    outer = Part("outer", "words", [Figure("a", "A", SPEC, "note")], parts=[inner])
    return [outer, Part("last", tables=[Table("u", "U", ["h"], [["1"]])])]


def test_figures_and_tables_of_every_level_come_in_order() -> None:
    assert [figure.name for figure in figures(nested())] == ["a", "b"]
    assert [table.name for table in tables(nested())] == ["t", "u"]
    assert list(figures([])) == list(tables([])) == []


@pytest.mark.usefixtures("small")
def test_everything_is_written_below_the_folder(tmp_path: Path) -> None:
    page = write(tmp_path / "deep" / "out", "Title", "text", nested())
    assert page == tmp_path / "deep" / "out" / "report.html"
    found = {str(p.relative_to(page.parent)) for p in page.parent.rglob("*") if p.is_file()}
    assert found == {
        "report.html",
        *(f"figures/{name}.{suffix}" for name in "ab" for suffix in ("svg", "png")),
        *(f"tables/{name}.{suffix}" for name in "tu" for suffix in ("md", "tex")),
    }


@pytest.mark.parametrize(
    ("suffix", "start"), [("svg", b"<svg"), ("png", b"\x89PNG"), ("pdf", b"%PDF")]
)
def test_a_figure_is_of_the_kind_of_its_suffix(tmp_path: Path, suffix: str, start: bytes) -> None:
    path = tmp_path / "deep" / f"figure.{suffix}"
    write_figure(SPEC, path)
    assert path.read_bytes().startswith(start)
    if suffix == "png":
        with Image.open(path) as picture:
            assert picture.width > 2 * 100  # two pixels each, and the names of the axes
            assert picture.height > 2 * 50


@pytest.mark.usefixtures("small")
def test_a_figure_as_a_page_and_other_suffixes(tmp_path: Path) -> None:
    write_figure(SPEC, tmp_path / "one.html")
    page = (tmp_path / "one.html").read_text()
    assert "<title>one</title>" in page
    assert 'data-chart="one"' in page
    with pytest.raises(ConfigError) as error:
        write_figure(SPEC, tmp_path / "one.gif")
    assert str(error.value) == (
        f"{tmp_path / 'one.gif'} is no picture; take one of .svg, .png, .pdf and .html."
    )
    assert not (tmp_path / "one.gif").exists()


def test_a_table_is_written_with_its_title_and_note(tmp_path: Path) -> None:
    write_table(TABLE, tmp_path / "new")
    assert (tmp_path / "new" / "t.md").read_text() == (
        "**A \\& b**\n\n"
        "| method | 50 % |\n| --- | ---: |\n| x_1 | 1.0 |\n| y | **2.0** |\n\nNote.\n"
    )
    assert (tmp_path / "new" / "t.tex").read_text() == (
        "\\begin{table}\n\\centering\n\\caption{A \\& b. Note.}\n\\label{tab:t}\n"
        "\\begin{tabular}{lr}\n\\toprule\nmethod & 50 \\% \\\\\n\\midrule\nx\\_1 & 1.0 \\\\\n"
        "\\midrule\ny & \\textbf{2.0} \\\\\n\\bottomrule\n\\end{tabular}\n\\end{table}\n"
    )


@pytest.mark.usefixtures("small")
def test_the_page_holds_titles_tables_and_specifications() -> None:
    page = html("Title", "some text", nested())
    assert page.count("<h2 ") == 2
    assert re.findall(r'data-chart="(\w)"', page) == ["a", "b"]
    (specs,) = re.findall(r"const specs = (.*);\n", page)
    assert json.loads(specs) == {"a": SPEC, "b": SPEC}
    assert "<td>y</td><td><b>2.0</b></td>" in page
    assert '<tr class="rule">' in page
    assert page.count("<details") == 1
    assert "open><summary>" not in page  # the inner part is folded
    assert html("", "", [Part("x", parts=[Part("y")])]).count(" open><summary>y</summary>") == 1
    assert page.count("library();") == 1


@pytest.mark.usefixtures("small")
def test_many_chapters_are_listed_and_arrows_stand_beside_the_numbers() -> None:
    """A mark within the cell moved its number out of the column."""
    cells = ["m", "1.0 ± 0.5 ↑", "1.0 ± 0.5"]
    table = Table("t", "", ["method", "a", "b"], [cells], bold={(0, 1)})
    page = html("", "", [Part(f"{EVIL}{i}", tables=[table]) for i in range(4)])
    assert page.count('<a href="#chapter-') == 4
    assert page.count('<h2 id="chapter-3">') == 1
    assert '<td><b>1.0 ± 0.5</b><span class="mark">↑</span></td><td>1.0 ± 0.5</td>' in page
    assert EVIL not in page
    assert "<nav" not in html("", "", [Part("x")] * 3)


@pytest.mark.usefixtures("small")
def test_nothing_that_is_shown_runs() -> None:
    """In a title, a text, a cell, or a specification."""
    spec = SPEC | {"title": EVIL}
    table = Table("t", EVIL, [EVIL], [[EVIL]], EVIL)
    part = Part(EVIL, EVIL, [Figure("a", EVIL, spec, EVIL)], [table], [Part(EVIL, EVIL)])
    page = html(EVIL, EVIL, [part])
    plain = html("", "", [Part("", "", [Figure("a", "", SPEC)])])
    assert page.count("<script") == plain.count("<script")
    assert page.count("</script") == plain.count("</script")
    (specs,) = re.findall(r"const specs = (.*);\n", page)
    assert json.loads(specs)["a"]["title"] == EVIL


def test_the_scripts_of_vega_are_in_the_page_and_do_not_end_their_element() -> None:
    page = html("", "", [])
    assert "vegaEmbed" in page
    assert page.count("</script>") == page.count("<script>") == 2
