"""Tables as Markdown and as LaTeX, from heads and rows of plain text."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence

Rows = Sequence[Sequence[str]]
Escape = Callable[[str], str]
Places = Collection[tuple[int, int]]  # (row, column), both from 0

LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "[": "{[}", "*": "{*}",  # an argument of the line break where they begin a row
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "±": r"$\pm$", "–": "--", "—": "---", "−": "$-$", "×": r"$\times$", "·": r"$\cdot$",
    "↑": r"$\uparrow$", "↓": r"$\downarrow$", "≤": r"$\le$", "≥": r"$\ge$", "…": r"\ldots{}",
}  # fmt: skip


def markdown(heads: Sequence[str], rows: Rows, bold: Places = ()) -> str:
    """A Markdown table, the first column left, the others right."""
    lines = [
        [escape_markdown(head) for head in heads],
        ["---", *["---:"] * (len(heads) - 1)],
        *_marked(rows, bold, escape_markdown, "**{}**"),
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def latex(heads: Sequence[str], rows: Rows, bold: Places = (), rules: Collection[int] = ()) -> str:
    r"""A LaTeX `tabular` that needs `\usepackage{booktabs}`; columns as in `markdown`.

    Before each row numbered in `rules` stands a `\midrule`.
    """
    lines = [
        " & ".join(line) + r" \\" for line in _marked(rows, bold, escape_latex, r"\textbf{{{}}}")
    ]
    body = ["\\midrule\n" * (i in rules) + line for i, line in enumerate(lines)]
    return "\n".join(
        [
            rf"\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}",
            r"\toprule",
            " & ".join(map(escape_latex, heads)) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def _marked(rows: Rows, bold: Places, escape: Escape, mark: str) -> list[list[str]]:
    return [
        [
            mark.format(escape(cell)) if cell and (i, j) in bold else escape(cell)
            for j, cell in enumerate(row)
        ]
        for i, row in enumerate(rows)
    ]


def escape_markdown(text: str) -> str:
    """Text that Markdown shows as it is."""
    # An underscore within a word is plain text in Markdown; escaped it would only be ugly.
    return re.sub(r"[\\`*\[\]<>&|~]|(?<![^\W_])_|_(?![^\W_])", r"\\\g<0>", " ".join(text.split()))


def escape_latex(text: str) -> str:
    """Text that LaTeX shows as it is."""
    return "".join(LATEX.get(letter, letter) for letter in " ".join(text.split()))
