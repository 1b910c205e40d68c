"""Tables say in Markdown and in LaTeX what their cells say, whatever stands in them."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from adapters.report.tables import latex, markdown

NASTY = r'50% of R&D_1 $x$ #2 {a} ~b ^c \d <b> |e| *f* `g` [h](i) ± – ↑ ↓ & &amp; _x_ "q" \\'
words = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1)
cells = words.map(lambda text: " ".join(text.split())).filter(bool)
tables = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(cells, min_size=width, max_size=width), min_size=2, max_size=4)
)


def parsed(text: str) -> list[list[str]]:
    page = MarkdownIt("commonmark").enable("table").render(text)
    rows = re.findall(r"<tr>(.*?)</tr>", page, re.S)
    found = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S) for row in rows]
    return [[html.unescape(cell) for cell in row] for row in found]


@settings(max_examples=50, deadline=None)
@given(tables)
@example([["head", NASTY], ["row", NASTY]])
def test_markdown_is_read_back(table: list[list[str]]) -> None:
    assert parsed(markdown(table[0], table[1:])) == table


def test_bold_is_bold() -> None:
    assert parsed(markdown(["a", "b"], [["c", "d"]], bold={(0, 1)})) == [
        ["a", "b"],
        ["c", "<strong>d</strong>"],
    ]
    assert r"c & \textbf{d} \\" in latex(["a", "b"], [["c", "d"]], bold={(0, 1)})


@settings(max_examples=50, deadline=None)
@given(tables)
def test_latex_has_a_cell_for_each(table: list[list[str]]) -> None:
    text = latex(table[0], table[1:])
    lines = [line for line in text.splitlines() if line.endswith(r" \\")]
    assert len(lines) == len(table)
    for line in lines:
        assert len(re.findall(r"(?<!\\)&", line)) == len(table[0]) - 1


def test_latex_compiles(tmp_path: Path) -> None:
    tex = shutil.which("tectonic") or shutil.which("pdflatex")
    if tex is None:
        pytest.skip("no TeX: neither tectonic nor pdflatex is installed")
    table = latex(["method", NASTY], [["[a]", NASTY], ["*", "1"]], bold={(0, 1)}, rules={1})
    page = tmp_path / "page.tex"
    page.write_text(
        "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n"
        f"{table}\n\\end{{document}}\n"
    )
    done = subprocess.run([tex, page.name], cwd=tmp_path, capture_output=True, text=True, input="")
    assert done.returncode == 0, done.stdout[-2000:]
