"""What confidence is worth: reliability and risk over coverage as figures, and its numbers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas

from adapters.confidence.measures import COVERAGES
from adapters.report.curves import names
from adapters.report.parts import Figure, Part, Spec, Table, of_shots, slug
from adapters.report.vega import GREY, Looks, data, layered, number, tips

if TYPE_CHECKING:
    from adapters.report.rows import Section

LEAST = 10  # pictures of a bin that is drawn; the share of a few that are right is chance
SUMS = ("harmonic mean",)  # measures that have no pictures of their own
EDGE = 106  # per cent, where names stand: ways to them begin at 100
ACROSS = {
    "scale": {"domain": [0, EDGE], "nice": False},
    "axis": {"values": list(range(0, 101, 10))},
}
NUMBERS = {
    "ece": "ECE, %",
    "ece_calibrated": "calibrated",
    "nll": "NLL",
    "nll_calibrated": "calibrated",
    "selective_80": "accuracy of 80 %",
    "selective_90": "of 90 %",
    "unknown_auroc": "AUROC of unknown, %",
}


def part(section: Section, ranked: Sequence[str], shown: Sequence[str], looks: Looks) -> list[Part]:
    """A folded chapter at the most shots, over all data sets and seeds; none without such rows."""
    rows = section.rows
    if "confidence" not in rows or section.measure in SUMS:
        return []
    rows = rows[rows["confidence"].notna()]
    if rows.empty:
        return []
    rows = rows[rows["shots"] == rows["shots"].max()]
    at = of_shots(int(rows["shots"].iloc[0]))
    drawn = rows[rows["line"].isin(shown)]
    note = f"At {at}, all data sets and seeds together."
    few = f"{note} Bins of fewer than {LEAST} pictures are not drawn."
    figures = [
        Figure(slug("reliability", section.name), "Reliability", reliability(drawn, looks), few),
        Figure(slug("risk", section.name), "Risk over coverage", risk(drawn, looks), note),
    ]
    text = (
        "A line on the diagonal is as often right as it says; the error of the most confident "
        "pictures says what may be left to the classifier. Where adapters were calibrated, figures "
        "show their calibrated probabilities."
    )
    there = [line for line in ranked if (rows["line"] == line).any()]
    tables = [_numbers(section, rows, there, at)]
    return [Part(f"Confidence at {at}", text, figures, tables, folded=True)]


def reliability(rows: pandas.DataFrame, looks: Looks) -> Spec:
    """How often pictures of a confidence are right, by `line`; the diagonal is what should be.

    Bins of fewer than `LEAST` pictures are left out where a line has fuller ones.
    """
    found = []
    for line, own in rows.groupby("line", sort=True):
        bins = np.array([json.loads(each)["bins"] for each in own["confidence"]])  # [r, b, 3]
        counts = bins[..., 0].sum(0)
        sums = (bins[..., :1] * bins[..., 1:]).sum(0)  # [b, 2]
        least = min(LEAST, counts.max())
        for n, (sure, right) in zip(counts, sums, strict=True):
            if n >= max(least, 1):
                told = {"confidence": 100 * sure / n, "accuracy": 100 * right / n}
                found.append({"line": line, "pictures": int(n), **told})
    whole = {"domain": [0, 100], "nice": False}
    x = number("confidence", "confidence, %", **ACROSS)
    y = number("accuracy", "right, %", scale=whole)
    even = {"values": [{"confidence": 0, "accuracy": 0}, {"confidence": 100, "accuracy": 100}]}
    dash = {"type": "line", "color": GREY, "strokeDash": [4, 3], "strokeWidth": 1}
    both = {"x": x, "y": y}
    tip = tips("line", "confidence", "accuracy", "pictures")
    drawn = pandas.DataFrame(found)
    layers = [
        {"data": even, "mark": dash, "encoding": both},
        *_lines(both, drawn, ("confidence", "accuracy"), looks, tip),
    ]
    return layered(data(drawn), layers)


def risk(rows: pandas.DataFrame, looks: Looks) -> Spec:
    """The error of the most confident share of the pictures over that share, by `line`."""
    found = [
        {"line": line, "coverage": share, "error": 100 - accuracy}
        for line, own in rows.groupby("line", sort=True)
        for share, accuracy in zip(
            COVERAGES,
            np.mean([json.loads(each)["curve"] for each in own["confidence"]], axis=0).tolist(),
            strict=True,
        )
    ]
    drawn = pandas.DataFrame(found)
    both = {
        "x": number("coverage", "coverage (the most confident), %", **ACROSS),
        "y": number("error", "error, %", scale={"zero": True}),
    }
    tip = tips("line", "coverage", "error")
    return layered(data(drawn), _lines(both, drawn, ("coverage", "error"), looks, tip))


def _lines(
    both: Spec, drawn: pandas.DataFrame, at: tuple[str, str], looks: Looks, tip: list[Spec]
) -> list[Spec]:
    """A line of points each, and its name right of its end."""
    colour, shape, dash = looks.channels(sorted(set(drawn["line"])))
    ends = drawn.sort_values(at[0], kind="stable").drop_duplicates("line", keep="last")
    top = drawn[at[1]].max()
    line = {"mark": {"type": "line", "strokeWidth": 2}, "encoding": {**both, "strokeDash": dash}}
    dot = {
        "mark": {"type": "point", "filled": True, "size": 35, "opacity": 1},
        "encoding": {**both, "shape": shape, "tooltip": tip},
    }
    coloured = [{**each, "encoding": {**each["encoding"], "color": colour}} for each in (line, dot)]
    return [*coloured, *names(ends, at, EDGE, max(top, 1e-3), looks, top)]


def _numbers(section: Section, rows: pandas.DataFrame, lines: list[str], at: str) -> Table:
    there = [name for name in NUMBERS if name in rows and rows[name].notna().any()]
    means = rows.astype(dict.fromkeys(there, float)).groupby("line")[there].mean()
    body = [
        [line, *("" if np.isnan(v) else f"{v:.3f}" if "nll" in str(n) else f"{v:.1f}" for n, v in
                 means.loc[line].items())]
        for line in lines
    ]  # fmt: skip
    return Table(
        slug("confidence", section.name),
        f"Confidence at {at}, {section.title}",
        ["method", *(NUMBERS[name] for name in there)],
        body,
        "Means over data sets and seeds. ECE: 15 bins of equal width; NLL in nats; accuracy of the "
        "most confident 80 and 90 %.",
    )
