"""Vega-Lite specifications: their building blocks, and the looks that figures share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from adapters.report.parts import Spec

if TYPE_CHECKING:
    import pandas

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
# Okabe and Ito's colours that stand out on white and on black, told apart by colour-blind readers.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#A6761D")
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "stroke")
GREY = "#7a7a7a"
WIDTH, HEIGHT = 460, 320  # of a figure in a file, in pixels; the page has its own widths


@dataclass(frozen=True)
class Looks:
    """Colour and marker of each line, the same in every figure of a report."""

    colour: dict[str, str] = field(default_factory=dict)
    shape: dict[str, str] = field(default_factory=dict)

    def scales(self, lines: Iterable[str]) -> tuple[Spec, Spec]:
        """Vega-Lite scales of colour and shape for these lines."""
        domain = list(lines)
        colours = [self.colour.get(n, GREY) for n in domain]
        shapes = [self.shape.get(n, "circle") for n in domain]
        return {"domain": domain, "range": colours}, {"domain": domain, "range": shapes}


def looks(lines: Iterable[str]) -> Looks:
    """Seven colours, then the same with the next marker; zero-shot is grey."""
    found = Looks({"zero-shot": GREY}, {"zero-shot": "diamond"})
    others = [line for line in dict.fromkeys(lines) if line != "zero-shot"]
    for i, line in enumerate(others):
        found.colour[line] = COLOURS[i % len(COLOURS)]
        found.shape[line] = SHAPES[i // len(COLOURS) % len(SHAPES)]
    return found


def data(frame: pandas.DataFrame) -> Spec:
    """The rows of a frame as the data of a specification; what is not a number is null."""
    return {"values": json.loads(frame.to_json(orient="records", double_precision=6))}


def number(field: str, title: str | None = None, **more: Any) -> Spec:
    """A channel for numbers on a scale that need not begin at 0."""
    scale = more.pop("scale", {})
    if scale.get("type") != "log":
        scale = {"zero": False, **scale}
    # Titles of layers are joined, so a layer without one must not have one.
    named = {} if title is None else {"title": title}
    return {"field": field, "type": "quantitative", "scale": scale, **named, **more}


def name(field: str, **more: Any) -> Spec:
    """A channel for names, without a legend."""
    return {"field": field, "type": "nominal", "legend": None, **more}


def tips(*fields: str, **titles: str) -> list[Spec]:
    """What stands in the box beside the pointer: fields by their names, or by other titles."""
    plain = [{"field": field, "title": field} for field in fields]
    return [*plain, *({"field": field, "title": title} for field, title in titles.items())]


def layered(data: Spec, layers: Sequence[Spec], **more: Any) -> Spec:
    """A specification of layers on the same data, with the size of a figure unless `more` says."""
    return {
        "$schema": SCHEMA,
        "data": data,
        "width": WIDTH,
        "height": HEIGHT,
        "layer": layers,
        **more,
    }
