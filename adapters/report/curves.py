"""Figures of accuracy: over shots, and against the seconds of a fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from adapters.report.parts import Spec
from adapters.report.vega import GREY, HEIGHT, Looks, data, layered, name, number, tips

if TYPE_CHECKING:
    import pandas

LABEL = 15  # pixels from one label to the next
TEXT = {"type": "text", "align": "left", "fontSize": 11, "limit": 150}
ASIDE = 0.045  # of the distance between two numbers of shots


def over_shots(points: pandas.DataFrame, looks: Looks) -> Spec:
    """Lines of `line, shots, mean, half, n` with their intervals, and each name at its end."""
    lines = list(dict.fromkeys(points["line"]))
    shots = sorted(int(k) for k in points["shots"].unique())
    place = {k: i for i, k in enumerate(shots)}
    aside = {line: ASIDE * (i - (len(lines) - 1) / 2) for i, line in enumerate(lines)}
    half = points["half"].fillna(0)
    rows = points.assign(
        x=points["shots"].map(place) + points["line"].map(aside),
        low=points["mean"] - half,
        high=points["mean"] + half,
        interval=[interval(m, h) for m, h in zip(points["mean"], points["half"], strict=True)],
    )
    colours, shapes = looks.scales(lines)
    labels = " : ".join(f"datum.value == {i} ? '{k}'" for k, i in place.items()) + " : ''"
    x = number(
        "x",
        "shots (training pictures a class)",
        scale={"domain": [-0.4, len(shots) - 0.6], "nice": False},
        axis={"values": list(place.values()), "labelExpr": labels, "grid": False},
    )
    colour = name("line", scale=colours)
    faded = {"condition": {"param": "hover", "value": 1}, "value": 0.15}
    both = {"x": x, "color": colour, "opacity": faded}
    y = number("mean", "accuracy, %")
    bar = {**both, "y": number("low", "accuracy, %"), "y2": {"field": "high"}}
    dot = {**both, "y": y, "shape": name("line", scale=shapes)}
    hover = {"type": "point", "fields": ["line"], "on": "pointerover", "clear": "pointerout"}
    layers: list[Spec] = [
        {"mark": {"type": "line", "strokeWidth": 2}, "encoding": {**both, "y": y}},
        {"mark": "rule", "encoding": bar},
        {
            "mark": {"type": "point", "filled": True, "size": 60},
            "encoding": {**dot, "tooltip": tips("line", "shots", interval="accuracy", n="seeds")},
            "params": [{"name": "hover", "select": hover}],
        },
        *_names(rows, len(shots) - 1, colour),
    ]
    return layered(data(rows), layers)


def _names(rows: pandas.DataFrame, last: int, colour: Spec) -> list[Spec]:
    """Each line's name right of its end, no two on top of each other."""
    ends = rows.sort_values("shots").drop_duplicates("line", keep="last")
    gap = LABEL * max(rows["high"].max() - rows["low"].min(), 1e-3) / (HEIGHT * 0.9)
    own = data(ends.assign(y=apart(ends["mean"].to_list(), gap), edge=last + 0.4))
    leader = {"x": number("x"), "x2": {"field": "edge"}, "y": number("mean"), "y2": {"field": "y"}}
    text = {"x": number("edge"), "y": number("y"), "text": {"field": "line"}, "color": colour}
    dashes = {"type": "rule", "strokeDash": [2, 2], "opacity": 0.6}
    return [
        {"data": own, "mark": dashes, "encoding": {**leader, "color": colour}},
        {"data": own, "mark": {**TEXT, "dx": 6}, "encoding": text},
    ]


def apart(values: Sequence[float], gap: float) -> list[float]:
    """The numbers nearest to `values` (least squares) of which no two are closer than `gap`."""
    from scipy.optimize import isotonic_regression

    order = np.argsort(values, kind="stable")
    steps = gap * np.arange(len(order))
    found = np.empty(len(order))
    found[order] = isotonic_regression(np.asarray(values, dtype=float)[order] - steps).x + steps
    return [float(value) for value in found]


def against_seconds(points: pandas.DataFrame, looks: Looks, kind: str = "seconds") -> Spec:
    """Accuracy over seconds of `line, mean, half, seconds`; the Pareto front filled and joined.

    `kind` is what the seconds are called. A column `mark` stands behind the names.
    """
    rows = points.assign(
        front=pareto(points["seconds"].to_list(), points["mean"].to_list()),
        interval=[interval(m, h) for m, h in zip(points["mean"], points["half"], strict=True)],
        # A fit that was too short for the clock still has its place on the axis.
        seconds=points["seconds"].clip(lower=1e-4),
        label=points["line"] + points.get("mark", ""),
        shown=[line if line in looks.colour else "others" for line in points["line"]],
    )
    rows["y"] = _beside(rows)
    colours, shapes = looks.scales(dict.fromkeys(rows["shown"]))
    colour = name("shown", scale=colours)
    seconds = number(
        "seconds",
        f"{kind} of a fit with its choice of settings",
        scale={"type": "log", "nice": False, "padding": 20},
        axis={"tickCount": 5, "format": "~g"},  # 1, 2, 3 … of each decade are a crowd
    )
    both = {"x": seconds, "y": number("mean", "accuracy, %", scale={"padding": 14})}
    filled = {"condition": {"test": "datum.front", "value": 1}, "value": 0}
    dot = {"color": colour, "fill": colour, "shape": name("shown", scale=shapes)}
    tip = tips("line", seconds=kind, interval="accuracy")
    stair = {"type": "line", "interpolate": "step-after", "color": GREY, "strokeDash": [4, 3]}
    layers: list[Spec] = [
        {
            "transform": [{"filter": "datum.front"}],
            "mark": {**stair, "strokeWidth": 1},
            "encoding": both,
        },
        {
            "mark": {"type": "point", "size": 80, "opacity": 1},
            "encoding": {**both, **dot, "fillOpacity": filled, "tooltip": tip},
        },
        {
            "transform": [{"filter": "datum.front || datum.shown != 'others'"}],
            "mark": {**TEXT, "dx": 8},
            "encoding": {**both, "y": number("y"), "text": {"field": "label"}, "color": colour},
        },
    ]
    return layered(data(rows), layers)


def _beside(rows: pandas.DataFrame) -> list[float]:
    """Heights of the names; those of points close in seconds do not lie on top of each other."""
    height = max(rows["mean"].max() - rows["mean"].min(), 1e-3)
    x = np.log10(rows["seconds"].to_numpy())
    order = np.argsort(x, kind="stable")
    near = 0.25 * max(float(np.ptp(x)), 1e-3)
    groups = np.split(order, np.flatnonzero(np.diff(x[order]) > near) + 1)
    found = np.empty(len(x))
    for group in groups:
        found[group] = apart(rows["mean"].to_numpy()[group].tolist(), LABEL * height / HEIGHT)
    return found.tolist()


def pareto(costs: Sequence[float], gains: Sequence[float]) -> list[bool]:
    """Which points no other one beats: as cheap and better, or cheaper and as good."""
    points = list(zip(costs, gains, strict=True))
    return [
        not any(c <= cost and g >= gain and (c, g) != (cost, gain) for c, g in points)
        for cost, gain in points
    ]


def interval(mean: float, half: float) -> str:
    """A mean with half its interval, where there is one."""
    return f"{mean:.2f} ± {half:.2f}" if half > 0 else f"{mean:.2f}"
