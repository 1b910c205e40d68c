"""Tables that compare methods: by data set and by shots, and each against a baseline."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import stdev
from typing import TYPE_CHECKING

from adapters.report.parts import Table, of_shots, slug
from adapters.report.published import SEVERAL, UNKNOWN, Beside, beside
from adapters.report.rows import Section, targets
from adapters.report.statistics import (
    LEVEL,
    half_width,
    holm,
    over_datasets,
    over_problems,
    over_seeds,
    summary,
)
from adapters.report.timing import kind, medians, told

if TYPE_CHECKING:
    import pandas

AVERAGE = "average"
TARGETS = "mean of targets"
STRICT = ", strict"
NONE = "–"
Cells = dict[tuple[str, str], str]


def averages(rows: pandas.DataFrame) -> pandas.DataFrame:
    """Accuracy `line, shots, seed` as the mean over the data sets, where all of them have it.

    The set that was fitted on is not among them where others are scored. Seconds of a fit, all of
    a line of one kind, are averaged in the same way.
    """
    rows = targets(rows)
    datasets = rows["dataset"].nunique()
    groups = rows.groupby(["line", "shots", "seed"], sort=False)
    found = groups[["accuracy", "seconds"]].mean().assign(clock=groups["clock"].any())
    if over_problems(rows):  # each list has its own
        variance = groups["standard_error"].agg(lambda errors: (errors.astype(float) ** 2).sum())
        found = found.assign(standard_error=variance**0.5 / datasets)
    return found[groups["dataset"].nunique() == datasets].reset_index()


def with_average(rows: pandas.DataFrame) -> pandas.DataFrame:
    """The rows, and where there are several data sets their average as one more."""
    import pandas

    columns = ["dataset", "line", "shots", "seed", "accuracy", "seconds", "clock"]
    columns += ["standard_error"] if over_problems(rows) else []
    if targets(rows)["dataset"].nunique() < 2:
        return rows[columns]
    name = TARGETS if (rows["source"] != "").any() else AVERAGE
    return pandas.concat([rows[columns], averages(rows).assign(dataset=name)])


def strict(rows: pandas.DataFrame) -> pandas.DataFrame:
    """The targets' rows counted among all classes of the source, and their mean.

    Only those targets are kept for which that is another number; none, where there are no such.
    """
    own = targets(rows)
    own = own[own["strict_accuracy"].notna()].astype({"strict_accuracy": float})
    other = own["dataset"][own["strict_accuracy"] != own["accuracy"]].unique()
    found = with_average(own.assign(accuracy=own["strict_accuracy"]))
    found = found[found["dataset"].isin([*other, TARGETS])] if len(other) else found[:0]
    return found.assign(dataset=found["dataset"].replace(TARGETS, "mean") + STRICT)


def _head(section: Section, column: str) -> str:
    """What a column is called: `-sketch` beside its source `shapes`, as papers have it."""
    beside = section.source and column.startswith(f"{section.source}-")
    return column.removeprefix(section.source) if beside else column


def by_dataset(section: Section, shots: int, lines: Sequence[str], baseline: str | None) -> Table:
    """Methods by data set at one number of shots, with what was published under their policy."""
    import pandas

    drawn = section.rows[section.rows["shots"] == shots]
    every = strict(drawn)
    rows = pandas.concat([with_average(drawn), every]) if len(every) else with_average(drawn)
    columns = list(dict.fromkeys([*section.datasets, *rows["dataset"]]))
    cells, best = _cells(rows, "dataset")
    p = p_values(rows, baseline)
    shown = [line for line in lines if any((line, c) in cells for c in columns)]
    table = [
        [line, *(cells.get((line, c), NONE) + _mark(p.get((line, c))) for c in columns)]
        for line in shown
    ]
    bold = {
        (i, j + 1) for i, n in enumerate(shown) for j, c in enumerate(columns) if (n, c) in best
    }
    others, note = _published(beside(section, shots).get(section.policy, []), len(columns))
    told = [
        _OVER_PROBLEMS if section.problems else _legend(baseline),
        *_strictly(section, every),
        note,
    ]
    table += others
    return Table(
        slug("accuracy", section.name, f"{shots}-shot"),
        f"Accuracy, {of_shots(shots)}, {section.title}",
        ["method", *(_head(section, column) for column in columns)],
        table,
        " ".join(told).strip(),
        bold,
        {len(shown)} if others else (),
    )


def elsewhere(section: Section, shots: int) -> list[Table]:
    """What was published under other policies than the section's, a table each."""
    found = []
    for policy, rows in beside(section, shots).items():
        if policy == section.policy:
            continue
        whole = max(len(numbers) for _, numbers in rows) > len(section.datasets)
        columns = [*section.datasets, *["mean"] * whole]
        table, note = _published(rows, len(columns))
        found.append(
            Table(
                slug("published", section.name, f"{shots}-shot", policy),
                f"Published, {_POLICIES.get(policy, f'policy {policy}')}, {of_shots(shots)}, "
                f"beside {section.title}",
                ["method", *(_head(section, column) for column in columns)],
                table,
                note,
            )
        )
    return found


def _published(others: Beside, columns: int) -> tuple[list[list[str]], str]:
    """Rows of a table for what others published, and the note that says under which terms.

    The note has a line a row, which the page keeps.
    """
    rows = []
    for i, (row, numbers) in enumerate(others, start=1):
        theirs = [NONE if n is None else f"{n:.2f}" for n in numbers]
        name = f"{row.method}, published{' in a figure' * (row.mark == 'F')} [{i}]"
        rows.append([name, *theirs, *[NONE] * (columns - len(theirs))])
    notes = [
        f"[{i}] {row.source} ({row.backbone}): {row.protocol}."
        for i, (row, _) in enumerate(others, start=1)
    ]
    return rows, "\n".join([_PUBLISHED, *notes]) if others else ""


def by_shots(section: Section, dataset: str, lines: Sequence[str]) -> Table:
    """Methods by shots on one data set, with the median seconds of a fit, over all shots."""
    rows = with_average(section.rows)
    rows = rows[rows["dataset"] == dataset]
    cells, best = _cells(rows.assign(shots=rows["shots"].astype(str)), "shots")
    found = medians(rows)
    columns = [str(k) for k in section.shots]
    shown = [line for line in lines if line in set(rows["line"])]
    # Nothing was fitted where a saved adapter was asked.
    own = zip(found["seconds"], found["mark"], strict=True)
    taken = dict(zip(found.index, (f"{value:.3g}{mark}" for value, mark in own), strict=True))
    note = _OVER_PROBLEMS if section.problems else _legend(None)
    note += " Seconds of a fit with its choice of settings: medians over seeds and shots."
    return Table(
        slug("shots", section.name, dataset),
        f"Accuracy over shots, {dataset}, {section.title}",
        ["method", *(of_shots(k) for k in section.shots), f"{kind(found)} a fit"],
        [[n, *(cells.get((n, c), NONE) for c in columns), taken.get(n, NONE)] for n in shown],
        f"{note} {told(found)}".strip(),
        {(i, j + 1) for i, n in enumerate(shown) for j, c in enumerate(columns) if (n, c) in best},
    )


def gains(section: Section, shots: int, lines: Sequence[str], baseline: str) -> Table | None:
    """Each method against the baseline on the same draws, or None where that is not there."""
    rows = targets(section.rows[section.rows["shots"] == shots])
    pairs = _pairs(rows, baseline)
    of = {str(line): own for line, own in pairs.groupby("line")}
    shown = [line for line in lines if line in of]
    if not shown:
        return None
    seeds = {n: d.groupby("seed")["gain"].agg(["mean", "count"]) for n, d in of.items()}
    whole = {n: s.loc[s["count"] == s["count"].max(), "mean"].to_list() for n, s in seeds.items()}
    sets = {n: d.groupby("dataset")["gain"].mean().to_list() for n, d in of.items()}
    by_seeds = holm([over_seeds(whole[n]) for n in shown])
    by_sets = holm([over_datasets(sets[n]) for n in shown])
    table = [
        [
            line,
            _with_half(whole[line]),
            *(str(int(test.sum())) for test in _wins(of[line]["gain"])),
            str(of[line]["dataset"].nunique()),
            _p(p),
            _p(q),
        ]
        for line, p, q in zip(shown, by_seeds, by_sets, strict=True)
    ]
    heads = [
        "method",
        "gain, points",
        "wins",
        "ties",
        "losses",
        "data sets",
        "p, seeds",
        "p, data sets",
    ]
    note = (
        f"Differences to {baseline} on the same draws (data set, seed). Gain: mean ± half the 95 % "
        "t-interval over seeds of the average over data sets. P-values are two-sided, Holm-"
        "corrected for the number of methods: paired t-test over seeds; Wilcoxon signed-rank test "
        "over data sets (six or more)."
    )
    title = f"Against {baseline}, {of_shots(shots)}, {section.title}"
    return Table(slug("gains", section.name, f"{shots}-shot"), title, heads, table, note)


def p_values(
    rows: pandas.DataFrame, baseline: str | None
) -> dict[tuple[str, str], tuple[float, float]]:
    """Mean gain over the baseline and its p-value over seeds, by line and data set.

    The p-values of one data set are Holm-corrected together.
    """
    found: dict[tuple[str, str], tuple[float, float]] = {}
    for dataset, pairs in _pairs(rows, baseline).groupby("dataset"):
        groups = {str(n): d["gain"].to_list() for n, d in pairs.groupby("line", sort=False)}
        adjusted = holm([over_seeds(gain) for gain in groups.values()])
        for (line, gain), p in zip(groups.items(), adjusted, strict=True):
            found[line, str(dataset)] = (math.fsum(gain) / len(gain), p)
    return found


def _pairs(rows: pandas.DataFrame, baseline: str | None) -> pandas.DataFrame:
    """Rows of the other lines with `gain`, their accuracy less the baseline's on the same draw."""
    key = ["dataset", "shots", "seed"]
    base = rows[rows["line"] == baseline][[*key, "accuracy"]]
    pairs = rows[rows["line"] != baseline].merge(base, on=key, suffixes=("", "_base"))
    return pairs.assign(gain=pairs["accuracy"] - pairs["accuracy_base"])


def _cells(rows: pandas.DataFrame, column: str) -> tuple[Cells, set[tuple[str, str]]]:
    """Text of each cell, by line and column, and the best of each column with its equals."""
    table = summary(rows, ["line", column])
    keys = list(zip(table["line"], table[column], strict=True))
    texts = {k: _text(m, h) for k, m, h in zip(keys, table["mean"], table["half"], strict=True)}
    tops = table.groupby(column)["mean"].transform("max")
    # Equals in the shown digit are all the best.
    alike = [f"{m:.1f}" == f"{top:.1f}" for m, top in zip(table["mean"], tops, strict=True)]
    return texts, {key for key, best in zip(keys, alike, strict=True) if best}


def _text(mean: float, half: float) -> str:
    shown = f"{round(mean, 1) + 0.0:.1f}".replace("-", "−")  # no hyphen, and no nought below nought
    return shown if math.isnan(half) else f"{shown} ± {half:.1f}"


def _with_half(values: Sequence[float]) -> str:
    n, mean = len(values), math.fsum(values) / len(values)
    std = stdev(values) if n > 1 else math.nan
    return _text(mean, half_width(std, n))


def _wins(gain: pandas.Series[float]) -> Iterable[pandas.Series[bool]]:
    return gain > 1e-9, gain.abs() <= 1e-9, gain < -1e-9


def _mark(gain_and_p: tuple[float, float] | None) -> str:
    if gain_and_p is None or not gain_and_p[1] < LEVEL:
        return ""
    return " ↑" if gain_and_p[0] > 0 else " ↓"


def _p(p: float) -> str:
    return NONE if math.isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}"


def _strictly(section: Section, every: pandas.DataFrame) -> list[str]:
    if every.empty:
        return []
    return [
        f"A target is scored among its own classes; strict: among all classes of {section.source}."
    ]


def _legend(baseline: str | None) -> str:
    text = "Per cent on the test split: mean ± half the 95 % t-interval over seeds; best in bold."
    if baseline is None:
        return text
    return (
        f"{text} ↑ and ↓: better and worse than {baseline} at 5 %, paired t-test over seeds, "
        "Holm-corrected within the column."
    )


_OVER_PROBLEMS = (
    "Per cent of queries, mean over seeds, ± the standard error over problems (of the mean: lists "
    "taken as independent). Best in bold. Chance is 50."
)
_POLICIES = {UNKNOWN: "policy not known", SEVERAL: "policies that differ by set"}
_PUBLISHED = "Published numbers were made by others under other protocols; they are not ours."
