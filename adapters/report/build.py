"""The whole report: what stands in it, and in which order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.report import classes, confidence, curves, sweeps, timing
from adapters.report.comparison import by_dataset, by_shots, elsewhere, gains, with_average
from adapters.report.parts import Figure, Part, Table, of_shots, several, slug
from adapters.report.rows import SWEPT, Runs, Section, compared, targets
from adapters.report.rows import runs as runs_of
from adapters.report.statistics import summary
from adapters.report.vega import Looks, looks
from adapters.report.write import write
from featcache.draws import KINDS
from featcache.errors import CacheError, UnknownNameError

if TYPE_CHECKING:
    import pandas

    from featcache.store.cache import FeatureCache

TOP = 8  # methods of a figure beside the baseline; more lines are not told apart
ZERO_SHOT = "zero-shot"


def report(
    runs: Runs,
    folder: Path,
    source: str,
    *,
    baseline: str | None = None,
    run: str | None = None,
    top: int = TOP,
    cache: FeatureCache | None = None,
) -> Path:
    """Write the report of these runs into a folder and return its page.

    `baseline` is a method, or a method with its settings as the tables name it (zero-shot if it is
    there). `run` is the id of the run to look at class by class. Raises `UnknownNameError` where
    the baseline has no run.
    """
    base = _baseline(runs, baseline)
    parts = _chapters(runs, base, top)
    method = str(runs.done.loc[runs.done["line"] == base, "method"].iloc[0])
    parts.append(classes.part(runs.done, run, method, cache))
    if len(runs.failed):
        parts.append(_failed(runs.failed))
    return write(folder, "Few-shot results", _text(runs, source), parts)


def figures(frame: pandas.DataFrame, baseline: str | None = None, top: int = TOP) -> Part:
    """The chapters of a report of these rows (`Results.frame`); a notebook shows their figures.

    Raises `CacheError` where no row is done, `UnknownNameError` where the baseline has none.
    """
    found = runs_of(frame)
    if not len(found.done):
        raise CacheError("there is no finished run among the rows; fit something first.")
    return Part("Few-shot results", parts=_chapters(found, _baseline(found, baseline), top))


def _chapters(runs: Runs, base: str, top: int) -> list[Part]:
    whole = list(runs.sections())
    sections = [replace(section, rows=compared(section.rows)) for section in whole]
    ranked = {section.title: rank(section.rows) for section in sections}
    shown = {title: _shown(lines, base, top) for title, lines in ranked.items()}
    # By name, so that a method keeps its colour when others do better or worse.
    lines = sorted({line for lines in shown.values() for line in lines})
    appearance = looks(lines, [*shown.values()])
    return [
        _section(section, swept, ranked[section.title], shown[section.title], base, appearance)
        for section, swept in zip(sections, whole, strict=True)
    ]


def rank(rows: pandas.DataFrame) -> list[str]:
    """The lines, best first: by their mean distance to the mean of each data set and shots.

    Where other sets are scored, by those alone.
    """
    others = targets(rows)
    rows = others if len(others) else rows
    cells = rows.groupby(["dataset", "shots", "line"])["accuracy"].mean()
    above = cells - cells.groupby(level=["dataset", "shots"]).transform("mean")
    return [str(n) for n in above.groupby(level="line").mean().sort_values(ascending=False).index]


def _shown(lines: list[str], base: str, top: int) -> list[str]:
    return [n for i, n in enumerate(lines) if i < top or n in (base, ZERO_SHOT)]


def _baseline(runs: Runs, asked: str | None) -> str:
    lines, methods = list(runs.done["line"].unique()), list(runs.done["method"].unique())
    name = asked or (ZERO_SHOT if ZERO_SHOT in methods else lines[0])
    if name in lines:
        return str(name)
    if name not in methods:
        raise UnknownNameError("baseline", name, [*dict.fromkeys([*methods, *lines])])
    return str(runs.done.loc[runs.done["method"] == name, "line"].iloc[0])


def _section(
    section: Section, swept: Section, ranked: list[str], shown: list[str], base: str, style: Looks
) -> Part:
    # Seeds of problems differ in the chance of the fits alone, of which tests would make too much.
    there = base if base in ranked and not section.problems else None
    rows = with_average(section.rows)
    places = list(dict.fromkeys([*section.datasets, *rows["dataset"]]))
    if section.source:  # ten targets and more, each with its figure, would be no report
        places = list(dict.fromkeys([places[0], places[-1]]))
    text = (
        f"{several(section.rows['run'].nunique(), 'run')} of {_lines(section, ranked)} "
        f"{_where(section)}. Bars: {_bars(section)}."
    )
    text += _left_out(ranked, shown)
    if len(section.rows) < len(swept.rows):
        text += (
            f" Methods run in more than {SWEPT} settings stand here with their defaults, or with "
            "what did best on validation; their sweeps are below."
        )
    if base not in ranked:
        text += f" The baseline {base} has no run here."
    if section.policy == "none" and any(n != m for n, m in _named(section)):
        text += (
            " Whoever picks the best of several settings by this page chooses on the test split."
        )
    figures = (
        []
        if section.draw not in KINDS  # which have no number of shots
        else [
            _over_shots(
                section, place, rows[(rows["dataset"] == place) & rows["line"].isin(shown)], style
            )
            for place in places
        ]
    )
    if section.problems:
        figures = []  # there is one number of shots
    last = rows[rows["dataset"] == places[-1]]
    if last["seconds"].notna().any():  # nothing was fitted where saved adapters were asked
        last = last.dropna(subset="seconds")
        figures.append(_seconds(section, places[-1], last, style, shown))
    shots = [by_shots(section, place, ranked) for place in reversed(places)]
    over = Part("Over shots, all methods", tables=shots, folded=len(shots) > 1)
    tables = [] if section.source else [over]
    for k in reversed(section.shots):
        lines = rank(section.rows[section.rows["shots"] == k])
        pair = [by_dataset(section, k, lines, there), there and gains(section, k, lines, there)]
        held = [table for table in pair if isinstance(table, Table)]
        tables.append(Part(f"{of_shots(k)}, all methods", tables=held, folded=len(tables) > 1))
        if theirs := elsewhere(section, k):
            title = f"{of_shots(k)}, published under other policies"
            tables.append(Part(title, tables=theirs, folded=True))
    tables += [over] if section.source and not section.problems else []
    sure = confidence.part(section, ranked, shown, style)
    return Part(section.title, text, figures, parts=[*tables, *sure, *_sweeps(swept)])


def _left_out(ranked: list[str], shown: list[str]) -> str:
    """Which lines the figures show, where these are not all."""
    count = len(ranked) - len(shown)
    if not count:
        return ""
    best = next(
        (i for i, (a, b) in enumerate(zip(shown, ranked, strict=False)) if a != b), len(shown)
    )
    more = f", with {' and '.join(shown[best:])}" if shown[best:] else ""
    return (
        f" Figures show the {f'{best} ' * (best > 1)}best on average over everything{more}; "
        f"{several(count, 'other')} stand{'s' * (count == 1)} in the tables."
    )


def _bars(section: Section) -> str:
    return "standard errors over problems" if section.problems else "95 % t-intervals over seeds"


def _where(section: Section) -> str:
    """On what the runs of a section are scored."""
    if section.problems:
        return f"on {several(len(section.datasets), 'list')} of problems of {section.source}"
    if not section.source:
        return f"on {several(len(section.datasets), 'data set')}"
    others = targets(section.rows)["dataset"].nunique()
    return f"fitted on {section.source} and scored on {several(others, 'other set')}"


def _lines(section: Section, ranked: list[str]) -> str:
    methods = section.rows["method"].nunique()
    text = several(methods, "method")
    return text if methods == len(ranked) else f"{text} in {several(len(ranked), 'setting')}"


def _named(section: Section) -> Iterator[tuple[str, str]]:
    yield from zip(section.rows["line"], section.rows["method"], strict=True)


def _over_shots(section: Section, place: str, rows: pandas.DataFrame, style: Looks) -> Figure:
    points = summary(rows, ["line", "shots"]).sort_values("line")
    title = f"{place}, {section.title}"
    return Figure(slug("over-shots", section.name, place), title, curves.over_shots(points, style))


def _seconds(
    section: Section, place: str, rows: pandas.DataFrame, style: Looks, shown: list[str]
) -> Figure:
    k = int(rows["shots"].max()) if section.source else section.shots[-1]
    rows = rows[rows["shots"] == k]
    if rows.empty:  # no method has this number of shots on every data set
        rows = section.rows[section.rows["shots"] == k]
    found = timing.medians(rows)
    points = summary(rows, ["line"]).join(found[["seconds", "mark"]], on="line")
    note = (
        f"At {of_shots(k)}, medians of the {timing.kind(found)}; filled: no method is faster and "
        f"better. {timing.told(found)}"
    )
    return Figure(
        slug("seconds", section.name),
        f"Accuracy against seconds, {place}",
        curves.against_seconds(points, style, timing.kind(found), shown),
        note.strip(),
    )


def _sweeps(section: Section) -> Iterator[Part]:
    own = section.rows
    if section.source:  # whose settings are looked at where they were fitted
        own = own[own["dataset"] == section.source]
    for (method, dataset), rows in own.groupby(["method", "dataset"]):
        if not sweeps.is_sweep(rows):
            continue
        axes = sweeps.settings_of(rows)
        if not sweeps.worth_a_line(axes.columns):
            continue
        name = slug("sweep", section.name, method, dataset)
        figures = [Figure(f"{name}-parallel", "Every run", sweeps.parallel(rows, axes), _PARALLEL)]
        figures += [
            Figure(
                f"{name}-{slug(axis)}", f"Effect of {axis}", sweeps.main_effect(rows, axes[axis])
            )
            for axis in axes
        ]
        title = f"Sweep of {method} on {dataset}, {several(len(rows), 'run')}"
        yield Part(title, figures=figures, folded=True)


def _failed(failed: pandas.DataFrame) -> Part:
    columns = [c for c in ("dataset", "backbone", "method", "shots", "draw", "seed", "settings",
                           "policy", "reason") if c in failed]  # fmt: skip
    rows = [["" if v is None or v != v else str(v) for v in row] for row in failed[columns].values]
    text = f"{several(len(failed), 'run')} failed and counts nowhere above."
    return Part("Failed runs", text, tables=[Table("failed", "Failed runs", columns, rows)])


def _text(runs: Runs, source: str) -> str:
    done = runs.done
    versions = sorted({_version(v) for v in done["versions"]} - {""})
    failed = several(len(runs.failed), "failed run")
    text = (
        f"{several(runs.count, 'finished run')} from {source}, {failed}; "
        f"the newest of {str(done['time'].max())[:10]}."
    )
    if runs.superseded:
        text += f" {several(runs.superseded, 'older run')} of the same draws and settings left out."
    return text + (f" featcache {', '.join(versions)}." if versions else "")


def _version(text: Any) -> str:
    try:
        return str(json.loads(text or "{}").get("featcache", ""))
    except (TypeError, ValueError):
        return ""


_PARALLEL = (
    "A line a run, yellow the most accurate, dark the least. Settings of few values stand at equal "
    "distances. Each effect: a dot a run, their means joined, against the mean of all runs on the "
    "same draw."
)
