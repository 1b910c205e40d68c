"""Figures of a sweep: a line through every run's settings, and the effect of each setting alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from adapters.report.parts import Spec
from adapters.report.vega import COLOURS, GREY, data, layered, name, number, tips

if TYPE_CHECKING:
    import pandas

ACCURACY = "accuracy, %"
# Neither the darkest, which black paper hides, nor the lightest, which white paper does.
SCHEME = {"name": "viridis", "extent": [0.15, 0.9]}
FEW = 12  # so many values of a setting stand at equal distances, each with its name


def settings_of(rows: pandas.DataFrame) -> pandas.DataFrame:
    """The numeric config fields that vary among the rows of one method, one column each.

    `shots` is one of them. Fields within a part of a composed method are `part.field`.
    """
    import pandas

    configs = [_flat(json.loads(config or "{}")) for config in rows["config"]]
    found = pandas.DataFrame(configs, index=rows.index).assign(shots=rows["shots"])
    varying = [field for field in found if found[field].nunique() > 1]
    return found[varying].dropna(axis="columns")


def is_sweep(rows: pandas.DataFrame) -> bool:
    """Whether some draw was fitted with several settings."""
    if rows["settings"].nunique() < 2:
        return False
    return bool((rows.groupby(["dataset", "shots", "seed"])["settings"].nunique() > 1).any())


def parallel(rows: pandas.DataFrame, axes: pandas.DataFrame) -> Spec:
    """One line a run of one data set through its settings `axes`, coloured by its accuracy."""
    import pandas

    names = [*axes, ACCURACY]
    values = axes.assign(**{ACCURACY: rows["accuracy"]})
    parts = [
        pandas.DataFrame(
            {
                "run": range(len(values)),
                "axis": axis,
                "value": values[axis],
                "height": _heights(values[axis], spaced=axis in axes),
                "accuracy": rows["accuracy"],
            }
        )
        for axis in names
    ]
    x = {"labelAngle": 0, "labelLimit": 90}
    both = {
        "x": name("axis", sort=names, title=None, axis=x, scale={"type": "point", "padding": 0.4}),
        "y": number("height", axis=None, scale={"domain": [-0.05, 1.05]}),
    }
    colour = {"field": "accuracy", "type": "quantitative", "scale": {"scheme": SCHEME}}
    line = {"detail": {"field": "run"}, "color": {**colour, "legend": None}}
    ticks = data(pandas.concat([_ticks(part) for part in parts]))
    text = {"type": "text", "align": "left", "dx": 5, "dy": -7, "fontSize": 11}
    layers = [
        {
            "mark": {"type": "line", "opacity": 0.6, "strokeWidth": 1.2},
            "encoding": {**both, **line, "order": {"field": "accuracy", "type": "quantitative"}},
        },
        {"data": ticks, "mark": {"type": "tick", "color": GREY, "size": 10}, "encoding": both},
        {"data": ticks, "mark": text, "encoding": {**both, "text": {"field": "label"}}},
    ]
    return layered(data(pandas.concat(parts)), layers, height=260)


def main_effect(rows: pandas.DataFrame, values: pandas.Series[Any]) -> Spec:
    """Accuracy over one setting: a dot a run, their means joined.

    What the draw makes easy or hard is taken away: each run is shown against the mean of the runs
    at its shots and seed (but over `shots` itself as it is).
    """
    setting = str(values.name)
    kept, title = rows.assign(value=values, y=rows["accuracy"]), ACCURACY
    if setting != "shots":
        draws = kept.groupby(["shots", "seed"])["accuracy"]
        kept = kept.assign(y=kept["accuracy"] - draws.transform("mean"), n=draws.transform("count"))
        kept, title = kept[kept["n"] > 1], "accuracy against the mean of its draw"
    few = kept["value"].nunique() <= FEW
    x = number("value", setting)
    if few:
        x = {"field": "value", "type": "ordinal", "title": setting, "axis": {"labelAngle": 0}}
    dot = {"x": x, "y": number("y", title), "tooltip": tips("value", "y", "shots", "seed")}
    means = {"x": x, "y": number("y", title, aggregate="mean")}
    blue = {"type": "line", "color": COLOURS[0], "point": {"size": 60, "color": COLOURS[0]}}
    layers = [{"mark": {"type": "circle", "color": GREY, "opacity": 0.35}, "encoding": dot}]
    if few:
        layers.append({"mark": blue, "encoding": means})
    return layered(data(kept[["value", "y", "shots", "seed"]]), layers, width=300, height=240)


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    found: dict[str, float] = {}
    for field, value in config.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{field}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[f"{prefix}{field}"] = value
    return found


def _heights(values: pandas.Series[Any], spaced: bool) -> list[float]:
    """Where values stand on an axis from 0 to 1."""
    distinct = sorted(values.unique())
    if spaced and len(distinct) <= FEW:
        return [distinct.index(value) / max(len(distinct) - 1, 1) for value in values]
    low, high = distinct[0], distinct[-1]
    return [(value - low) / (high - low or 1) for value in values]


def _ticks(part: pandas.DataFrame) -> pandas.DataFrame:
    """The values named at an axis: all of them where they are few, else the least and greatest."""
    found = part.drop_duplicates("value").sort_values("value")
    if len(found) > FEW or found["axis"].iloc[0] == ACCURACY:
        found = found.iloc[[0, -1]]
    return found.assign(label=[f"{value:.4g}" for value in found["value"]])[
        ["axis", "height", "label"]
    ]


def worth_a_line(axes: Iterable[Any]) -> bool:
    """Whether there are settings beside the shots to draw."""
    return any(axis != "shots" for axis in axes)
