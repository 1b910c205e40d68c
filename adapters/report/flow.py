"""What a flow does to the test split: its ways in two dimensions, and what each step is worth.

Pictures (fma) or class prototypes (node-adapter) are brought to unit length, as the scores see
them, and projected on the first two principal components of both ends of all ways together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from sklearn.decomposition import PCA
from torch import Tensor
from torch.nn.functional import normalize

from adapters.adapter import Adapter
from adapters.compose import get
from adapters.drawing import draw
from adapters.episode import Labelled, widened
from adapters.evaluate import accuracy
from adapters.method import Axes, Method
from adapters.report.parts import Figure, Part, Spec, several
from adapters.report.vega import (
    COLOURS,
    GREY,
    HEIGHT,
    SCHEMA,
    STAR,
    data,
    layered,
    name,
    number,
    tips,
)
from adapters.report.write import html, write_figure
from featcache import files, threads
from featcache.errors import MethodError

if TYPE_CHECKING:
    import pandas

    from featcache.store.entry import Entry

WAYS = ("inference_steps", "horizon")  # fields that say how far along a flow


@dataclass(frozen=True)
class FlowFigure:
    """Two specifications with what they show: explained variance and accuracy of each step."""

    ways: Spec
    steps: Spec
    explained: float
    accuracy: list[float]
    text: str

    @property
    def part(self) -> Part:
        """Both charts, which a notebook shows."""
        figures = [
            Figure("ways", "Ways through the flow", self.ways),
            Figure("steps", "Accuracy over steps", self.steps),
        ]
        return Part("Charts", figures=figures)

    def _repr_html_(self) -> str:
        return replace(self.part, title="Flow", text=self.text)._repr_html_()


@threads.for_work(0)
def flow_figure(adapter: Adapter, entry: Entry, pictures: int = 150) -> FlowFigure:
    """Draw the flow of an adapter on the test split beside its own draw, of `entry`.

    Raises `MethodError` where the method has no flow or reads several of its states at once.
    """
    about, method = adapter.about, get(adapter.method)
    if method.trajectory is None or not _along(method, adapter.config):
        raise MethodError(
            f"{adapter.method} has no flow that can be drawn as it is set; give an adapter of fma "
            "(readout last) or node-adapter."
        )
    drawn = draw(entry, 1, about["seed"], bank=about["bank"], views=0)  # its test is any shots'
    test, text = drawn.test, drawn.episode.text.unit()  # text [c, d]
    kept = _spread_out(test.labels, pictures)
    with torch.inference_mode():
        x = widened(test.x[kept])
        states = normalize(method.trajectory(adapter.state, adapter.config, x), dim=-1)
    labels = test.labels[kept] if states.shape[1] == len(kept) else torch.arange(len(text))
    pca = PCA(2).fit(torch.cat([states[0], states[-1]]))
    explained = 100 * pca.explained_variance_ratio_
    flat = pca.transform(states.flatten(0, 1)).reshape(*states.shape[:2], 2)  # [s, n, 2]
    scores, chosen = _scores(adapter, method, test)
    what = "pictures" if states.shape[1] == len(kept) else "prototypes"
    said = (
        f"{len(labels)} {what} on their way through {adapter.method} ({entry.dataset}, "
        f"{entry.backbone}, {several(about['shots'], 'shot')}, seed {about['seed']}): two "
        f"principal components of both ends, {explained.sum():.0f} % of their variance; ring: "
        f"start, dot: end, star: text of the class; accuracy {scores[0]:.1f} % before the first "
        f"step, {scores[chosen]:.1f} % after {several(chosen, 'step')} (chosen)."
    )
    names = adapter.classnames
    return FlowFigure(
        _ways(flat, labels, pca.transform(text), names, explained.tolist()),
        _steps(scores, chosen),
        float(explained.sum()),
        scores,
        said,
    )


def write_flow(figure: FlowFigure, path: Path) -> None:
    """Write both charts, side by side in a picture (png, svg, pdf) or one by one in html."""
    if path.suffix != ".html":
        write_figure({"$schema": SCHEMA, "hconcat": [figure.ways, figure.steps]}, path)
        return
    files.replace(path, html("Flow", figure.text, [figure.part]))


def _spread_out(labels: Tensor, count: int) -> Tensor:
    """At most `count` rows, the first of every class before the second of any."""
    order = labels.argsort(stable=True)
    counts = labels.bincount()
    turn = torch.empty_like(labels)
    turn[order] = torch.cat([torch.arange(int(n)) for n in counts])
    return turn.argsort(stable=True)[:count]


def _scores(adapter: Adapter, method: Method, test: Labelled) -> tuple[list[float], int]:
    """Accuracy after each step, and the number of steps the adapter takes."""
    axes = _along(method, adapter.config)
    (field,) = axes
    x = method.input(test.query[:])
    with torch.inference_mode():
        found = {
            choice[field]: accuracy(logits, test.labels)
            for choice, logits in method.scores(adapter.state, adapter.config, x, axes)
        }
    own = getattr(adapter.config, field)
    values = sorted(found)
    return [found[v] for v in values], min(range(len(values)), key=lambda i: abs(values[i] - own))


def _ways(
    flat: Any, labels: Tensor, text: Any, names: tuple[str, ...], explained: list[float]
) -> Spec:
    import pandas

    shown = [names[c] for c in _apart(text, len(COLOURS))]
    rows = [
        {"way": i, "step": s, "x": float(flat[s, i, 0]), "y": float(flat[s, i, 1]),
         "class": names[int(label)],
         "shown": names[int(label)] if names[int(label)] in shown else "others"}
        for i, label in enumerate(labels)
        for s in range(len(flat))
    ]  # fmt: skip
    scale = {"domain": [*shown, "others"], "range": [*COLOURS[: len(shown)], GREY]}
    both = {
        "x": number("x", f"first component ({explained[0]:.0f} %)"),
        "y": number("y", f"second component ({explained[1]:.0f} %)"),
        "color": name("shown", scale=scale),
    }
    faint = {"condition": {"test": "datum.shown == 'others'", "value": 0.25}, "value": 0.8}
    way = {**both, "opacity": faint, "tooltip": tips("class", "step")}
    order = {"detail": {"field": "way"}, "order": {"field": "step", "type": "quantitative"}}
    stars = data(_stars(text, names, shown))
    star = {"type": "point", "shape": STAR, "size": 110, "filled": True, "opacity": 1}
    label = {"type": "text", "align": "left", "dx": 8, "fontSize": 11, "limit": 120}
    layers: list[Spec] = [
        {"mark": {"type": "line", "strokeWidth": 1}, "encoding": {**way, **order}},
        {"transform": [{"filter": "datum.step == 0"}], "mark": {"type": "point", "size": 25},
         "encoding": way},
        {"transform": [{"filter": f"datum.step == {len(flat) - 1}"}],
         "mark": {"type": "circle", "size": 25}, "encoding": way},
        {"data": stars, "mark": star, "encoding": {**both, "tooltip": tips("class")}},
        {"data": stars, "transform": [{"filter": "datum.shown != 'others'"}], "mark": label,
         "encoding": {**both, "text": {"field": "class"}}},
    ]  # fmt: skip
    return layered(data(pandas.DataFrame(rows)), layers, width=420, height=HEIGHT + 40)


def _stars(text: Any, names: tuple[str, ...], shown: list[str]) -> pandas.DataFrame:
    import pandas

    groups = [name if name in shown else "others" for name in names]
    columns = {"x": text[:, 0], "y": text[:, 1], "class": names, "shown": groups}
    return pandas.DataFrame(columns)


def _apart(points: Any, count: int) -> list[int]:
    """Numbers of `count` points far from one another, so that their names can be read.

    Farthest-point sampling from the point farthest from the middle.
    """
    points = torch.as_tensor(points)
    distance = (points - points.mean(0)).norm(dim=1)
    found = [int(distance.argmax())]
    distance = (points - points[found[0]]).norm(dim=1)
    while len(found) < min(count, len(points)):
        found.append(int(distance.argmax()))
        distance = torch.minimum(distance, (points - points[found[-1]]).norm(dim=1))
    return found


def _along(method: Method, config: Any) -> Axes:
    """The axis of the method's space that says how far along its flow, if it has one."""
    found = method.space(config).logits
    return {name: found[name] for name in WAYS if name in found}


def _steps(scores: list[float], chosen: int) -> Spec:
    import pandas

    rows = pandas.DataFrame({"step": range(len(scores)), "accuracy": scores})
    rows["text"] = [f"chosen: {value:.1f} %" for value in scores]
    axis = {"values": list(range(len(scores))), "format": "d"}
    x = number("step", "steps of the solver", axis=axis)
    both = {"x": x, "y": number("accuracy", "accuracy on the test split, %")}
    right = chosen > len(scores) / 2
    align = {"align": "right", "dx": -12} if right else {"align": "left", "dx": 12}
    own = [{"filter": f"datum.step == {chosen}"}]
    ring = {"type": "point", "size": 160, "color": COLOURS[1], "strokeWidth": 2}
    text = {"type": "text", "color": COLOURS[1], "dy": 20, "fontSize": 11, **align}
    line = {"type": "line", "color": COLOURS[0], "point": {"size": 50, "color": COLOURS[0]}}
    layers: list[Spec] = [
        {"mark": line, "encoding": {**both, "tooltip": tips("step", "accuracy")}},
        {"transform": own, "mark": ring, "encoding": both},
        {"transform": own, "mark": text, "encoding": {**both, "text": {"field": "text"}}},
    ]
    return layered(data(rows), layers, width=240, height=HEIGHT + 40)
