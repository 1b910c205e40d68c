"""Accuracy over shots of one data set: mean and spread over seeds, as a picture and a table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.report.timing import timed

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes

    from adapters.evaluate import Spread

# Okabe and Ito's palette, told apart by colour-blind readers too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vPX"
DASHES = ("-", "--", ":", "-.")


def cells(frame: pandas.DataFrame, value: str = "accuracy") -> dict[tuple[str, int], Spread]:
    """Mean and spread of `value` over seeds, by method and shots; of a seed the newest row counts.

    Raises `ValueError` where rows differ in data set, backbone, features of the pictures, task,
    target or policy, or those of a method in settings, prompts, views or draw: such never share a
    table, nor a mean.
    """
    from adapters.evaluate import spread

    one = ("dataset", "data", "backbone", "images", "task", "target", "policy", "transductive")
    for column in one:
        if column in frame and frame[column].nunique() > 1:
            held = ", ".join(sorted(map(str, frame[column].dropna().unique())))
            raise ValueError(f"rows of different {column} ({held}) do not share a table")
    for column in ("settings", "bank", "views", "draw"):
        for method, own in frame.groupby("method")[column] if column in frame else ():
            if len(told := {*map(_told, own.dropna())}) > 1:
                held = ", ".join(sorted(told))
                raise ValueError(f"rows of {method} with different {column} ({held}) have no mean")
    groups = _newest(frame, value).groupby(["method", "shots"], sort=False)[value]
    return {(str(m), int(str(k))): spread(list(values)) for (m, k), values in groups}


def _newest(frame: pandas.DataFrame, value: str = "accuracy") -> pandas.DataFrame:
    """The newest row of each seed that has a `value`, which failed runs have not."""
    held = frame[frame[value].notna()]
    return held.drop_duplicates(["method", "shots", "seed"], keep="last")


def over_shots(frame: pandas.DataFrame, path: Path, title: str = "") -> Path:
    """Draw accuracy over shots with one standard deviation, zero-shot as a star at 0 shots.

    The suffix of `path` says the format (png, svg, pdf).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    table = cells(frame)
    shots = sorted({k for _, k in table})
    place = {k: i + 1 for i, k in enumerate(shots)}
    methods = list(dict.fromkeys(method for method, _ in table))
    for number, method in enumerate(methods):
        colour, marker, dash = _look(number)
        # Side by side, so that the bars of one method do not hide another's.
        aside = 0.05 * (number - (len(methods) - 1) / 2)
        points = [(place[k], table[method, k]) for k in shots if (method, k) in table]
        if method == "zero-shot":
            _star(axes, points[-1][1], len(shots), colour)
            continue
        x, mean = [p + aside for p, _ in points], [s.mean for _, s in points]
        deviation = [s.std if s.n > 1 else 0.0 for _, s in points]
        look: dict[str, Any] = {"color": colour, "marker": marker, "linestyle": dash}
        axes.errorbar(x, mean, deviation, **look, capsize=3, label=method)
    axes.set_xticks([0, *place.values()], ["0", *map(str, shots)])
    axes.set_xlabel("shots (training pictures a class)")
    axes.set_ylabel("accuracy on the test split, %")
    axes.set_title(title, fontsize="medium")
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=160, metadata={"Software": None} if path.suffix == ".png" else None)
    return path


def shots_table(frame: pandas.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of method × shots: mean ± standard deviation, then seconds of a fit.

    The seconds are medians, all of one kind: the processor's, so that what else ran on the machine
    does not count; the clock's where a row is of a GPU or of a version that kept no others.
    """
    table = cells(frame)
    own = timed(_newest(frame), ["task"])
    head = "clock s a fit" if own["clock"].any() else "processor s a fit"
    seconds = own.groupby("method")["seconds"].median()
    shots = sorted({k for _, k in table})
    methods = list(dict.fromkeys(method for method, _ in table))
    rows = [
        [m, *(str(table.get((m, k), "–")) for k in shots), f"{seconds[m]:.2f}"] for m in methods
    ]
    return ["method", *(f"{k} shot{'s' * (k > 1)}" for k in shots), head], rows


def _star(axes: Axes, score: Spread, width: int, colour: str) -> None:
    axes.plot([0], [score.mean], "*", color=colour, markersize=13, label="zero-shot")
    axes.plot([0, width], [score.mean] * 2, ":", color=colour, linewidth=1)


def _told(value: Any) -> str:
    """Settings, which rows in memory hold as dicts and a file as JSON, whatever their order."""
    if isinstance(value, str) and value.startswith("{"):
        value = json.loads(value)
    return json.dumps(value, sort_keys=True) if isinstance(value, dict) else str(value)


def _look(number: int) -> tuple[str, str, str]:
    """Colour, marker and dash of a line; no two of 49 have both colour and marker alike."""
    turn, place = divmod(number, len(COLOURS))
    return COLOURS[place], MARKERS[(place + turn) % len(MARKERS)], DASHES[number % len(DASHES)]
