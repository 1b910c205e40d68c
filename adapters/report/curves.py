"""Figures of accuracy: over shots, and against the seconds of a fit."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np

from adapters.report.parts import Spec
from adapters.report.vega import GREY, HEIGHT, WIDTH, Looks, data, layered, number, tips

if TYPE_CHECKING:
    import pandas

LABEL = 15  # pixels from one label to the next
LONGEST = 150  # pixels of a label
TEXT = {"type": "text", "align": "left", "fontSize": 11, "limit": LONGEST}
ACCURACY = "accuracy, %"
LEAST = 1.0  # points of accuracy that a figure is high
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
        # Half an interval of few seeds may be wide; nobody is right more often than always.
        low=(points["mean"] - half).clip(lower=0),
        high=(points["mean"] + half).clip(upper=100),
        interval=[interval(m, h) for m, h in zip(points["mean"], points["half"], strict=True)],
    )
    colour, shape, dash = looks.channels(lines)
    labels = " : ".join(f"datum.value == {i} ? '{k}'" for k, i in place.items()) + " : ''"
    edge = len(shots) - 0.6
    x = number(
        "x",
        "shots (training pictures a class)",
        scale={"domain": [-0.4, edge], "nice": False},
        axis={"values": list(place.values()), "labelExpr": labels, "grid": False},
    )
    faded = {"condition": {"param": "hover", "value": 1}, "value": 0.15}
    both = {"x": x, "color": colour, "opacity": faded}
    scale = _heights(rows["low"].min(), rows["high"].max())
    y = number("mean", ACCURACY, scale=scale)
    bar = {**both, "y": number("low", ACCURACY, scale=scale), "y2": {"field": "high"}}
    dot = {**both, "y": y, "shape": shape}
    hover = {"type": "point", "fields": ["line"], "on": "pointerover", "clear": "pointerout"}
    ends = rows.sort_values("shots").drop_duplicates("line", keep="last")
    height = rows["high"].max() - rows["low"].min()
    layers: list[Spec] = [
        {
            "mark": {"type": "line", "strokeWidth": 2},
            "encoding": {**both, "strokeDash": dash, "y": y},
        },
        {"mark": "rule", "encoding": bar},
        {
            "mark": {"type": "point", "filled": True, "size": 60, "opacity": 1},
            "encoding": {**dot, "tooltip": tips("line", "shots", interval="accuracy", n="seeds")},
            "params": [{"name": "hover", "select": hover}],
        },
        *names(ends, ("x", "mean"), edge, max(height, LEAST), looks, rows["high"].max()),
    ]
    return layered(data(rows), layers)


def _heights(low: float, high: float) -> Spec:
    """The scale of accuracies, no less than a point high."""
    if high - low >= LEAST:
        return {}
    return {"domain": [(low + high - LEAST) / 2, (low + high + LEAST) / 2]}


def names(
    ends: pandas.DataFrame, at: tuple[str, str], edge: float, height: float, looks: Looks,
    top: float = math.inf,
) -> list[Spec]:  # fmt: skip
    """Each line's name right of its end, behind its marker, no two on top of each other.

    `ends` has `line` and the fields `at`; names stand at `edge`, below `top`. `height` is that of
    the figure in units of its axis.
    """
    x, y = at
    gap = LABEL * height / (HEIGHT * 0.9)
    places = np.array(apart(ends[y].to_list(), gap))
    own = data(ends.assign(y=places - max(places.max() - top, 0), edge=edge))
    colour, shape, _ = looks.channels(dict.fromkeys(ends["line"]))
    # On the scales of the figure, of which these layers say nothing.
    way = {name: {"field": name, "type": "quantitative"} for name in (x, y, "edge", "y")}
    leader = {"x": way[x], "x2": {"field": "edge"}, "y": way[y], "y2": {"field": "y"}}
    dashes = {"type": "rule", "strokeDash": [2, 2], "opacity": 0.6}
    dot = {"type": "point", "filled": True, "size": 40, "opacity": 1, "xOffset": 8}
    both = {"x": way["edge"], "y": way["y"]}
    return [
        {"data": own, "mark": dashes, "encoding": {**leader, "color": colour}},
        {"data": own, "mark": dot, "encoding": {**both, "color": colour, "shape": shape}},
        {"data": own, "mark": {**TEXT, "dx": 16}, "encoding": {**both, "text": {"field": "line"}}},
    ]


def apart(values: Sequence[float], gap: float) -> list[float]:
    """The numbers nearest to `values` (least squares) of which no two are closer than `gap`."""
    from scipy.optimize import isotonic_regression

    order = np.argsort(values, kind="stable")
    steps = gap * np.arange(len(order))
    found = np.empty(len(order))
    found[order] = isotonic_regression(np.asarray(values, dtype=float)[order] - steps).x + steps
    return [float(value) for value in found]


def against_seconds(
    points: pandas.DataFrame, looks: Looks, kind: str = "seconds", shown: Collection[str] = ()
) -> Spec:
    """Accuracy over seconds of `line, mean, half, seconds`; the Pareto front filled and joined.

    `kind` is what the seconds are called. A column `mark` stands behind the names. Lines that are
    not `shown` (all that have a colour) are grey, and named where they are of the front.
    """
    coloured = set(shown or looks.colour)
    rows = points.assign(
        front=pareto(points["seconds"].to_list(), points["mean"].to_list()),
        interval=[interval(m, h) for m, h in zip(points["mean"], points["half"], strict=True)],
        # A fit that was too short for the clock still has its place on the axis.
        seconds=points["seconds"].clip(lower=1e-4),
        label=points["line"] + points.get("mark", ""),
        shown=[line if line in coloured else "others" for line in points["line"]],
    )
    named = rows["front"] | (rows["shown"] != "others")
    rows["y"] = rows["mean"]
    x = np.log10(rows["seconds"])
    rows["side"] = np.where(2 * x > x.min() + x.max(), "right", "left")
    rows.loc[named, "y"] = _free(rows, named)
    colour, shape, _ = looks.channels(dict.fromkeys(rows["shown"]), "shown")
    low, high = rows["seconds"].min(), rows["seconds"].max()
    near = {"domain": [low / 2, high * 2]} if high < 3 * low else {}
    seconds = number(
        "seconds",
        f"{kind} of a fit with its choice of settings",
        scale={"type": "log", "nice": False, "padding": 20, **near},
        axis={"values": _decades(low, high), "format": "~g"},
    )
    heights = {"padding": 14, **_heights(rows["mean"].min(), rows["mean"].max())}
    both = {"x": seconds, "y": number("mean", ACCURACY, scale=heights)}
    filled = {"condition": {"test": "datum.front", "value": 1}, "value": 0}
    dot = {"color": colour, "fill": colour, "shape": shape}
    tip = tips("line", seconds=kind, interval="accuracy")
    stair = {"type": "line", "interpolate": "step-after", "color": GREY, "strokeDash": [4, 3]}
    layers: list[Spec] = [
        {
            "transform": [{"filter": "datum.front"}],
            "mark": {**stair, "strokeWidth": 1},
            "encoding": both,
        },
        {
            "mark": {"type": "rule", "opacity": 0.6},
            "encoding": {**both, "y2": {"field": "y"}, "color": colour},
        },
        {
            "mark": {"type": "point", "size": 80, "opacity": 1},
            "encoding": {**both, **dot, "fillOpacity": filled, "tooltip": tip},
        },
        *(_beside(both, str(side)) for side in sorted(set(rows.loc[named, "side"]))),
    ]
    return layered(data(rows), layers)


def _free(rows: pandas.DataFrame, named: pandas.Series[bool]) -> list[float]:
    """Heights of the names of some points, near these: not on a point nor on another name."""
    unit = max(rows["mean"].max() - rows["mean"].min(), LEAST) / HEIGHT  # of a pixel
    x = np.log10(rows["seconds"].to_numpy())
    x = (x - x.min()) / max(float(np.ptp(x)), 1e-9) * (WIDTH - 40)
    y = rows["mean"].to_numpy() / unit
    taken = [
        (place - 7, place + 7, height - 7, height + 7) for place, height in zip(x, y, strict=True)
    ]
    found = []
    for i in np.flatnonzero(named):
        width = min(6 * len(rows["label"].iloc[i]), LONGEST)
        left = x[i] + 8 if rows["side"].iloc[i] == "left" else x[i] - 8 - width
        # At the point, a line above, a line below, two above …, within the figure.
        steps = [0.0, *(sign * k * LABEL for k in range(1, 21) for sign in (1, -1))]
        boxes = [(left, left + width, y[i] + s + 1, y[i] + s + LABEL) for s in steps]
        free = (
            s
            for s, box in zip(steps, boxes, strict=True)
            if y.min() <= y[i] + s <= y.max() and not any(_meet(box, each) for each in taken)
        )
        step = next(free, 0.0)
        taken.append(boxes[steps.index(step)])
        found.append(float((y[i] + step) * unit))
    return found


def _meet(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether two boxes (left, right, low, high) overlap."""
    return one[0] < other[1] and other[0] < one[1] and one[2] < other[3] and other[2] < one[3]


def _decades(low: float, high: float) -> list[float]:
    """Powers of ten from `low` to `high`; where these are few, what lies between as well."""
    powers = range(math.floor(math.log10(low / 2)), math.ceil(math.log10(high * 2)) + 1)
    steps = (1,) if math.log10(high / low) > 2 else (1, 2, 5)
    return [float(f"{step}e{power}") for power in powers for step in steps]


def _beside(both: Spec, side: str) -> Spec:
    """The names of points in one half, towards the other, so that none is cut off."""
    shown = f"datum.side == '{side}' && (datum.front || datum.shown != 'others')"
    # Above the point, for the front goes on beside it; no longer than the half that it lies in.
    text = {**TEXT, "align": side, "dx": 8 if side == "left" else -8, "dy": -8}
    text["limit"] = {"expr": f"min({LONGEST}, width / 2)"}
    return {
        "transform": [{"filter": shown}],
        "mark": text,
        "encoding": {**both, "y": number("y"), "text": {"field": "label"}},
    }


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
