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
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right")
DASHES = ([1, 0], [8, 3], [2, 2], [8, 2, 2, 2])  # none of seven, so that no colour keeps its dash
GREY = "#808080"
STAR = (
    "M0,-1L0.225,-0.309L0.951,-0.309L0.363,0.118L0.588,0.809L0,0.382L-0.588,0.809L-0.363,0.118"
    "L-0.951,-0.309L-0.225,-0.309Z"
)
WIDTH, HEIGHT = 460, 320  # of a figure in a file, in pixels; the page has its own widths


@dataclass(frozen=True)
class Looks:
    """Colour, marker and dash of each line, the same in every figure of a report."""

    colour: dict[str, str] = field(default_factory=dict)
    shape: dict[str, str] = field(default_factory=dict)
    dash: dict[str, Sequence[int]] = field(default_factory=dict)

    def channels(self, lines: Iterable[str], field: str = "line") -> tuple[Spec, Spec, Spec]:
        """Vega-Lite channels of colour, shape and dash for these lines, names in `field`."""
        domain = list(lines)
        ranges: tuple[list[Any], ...] = (
            [self.colour.get(n, GREY) for n in domain],
            [self.shape.get(n, "circle") for n in domain],
            [self.dash.get(n, DASHES[0]) for n in domain],
        )
        scales = ({"domain": domain, "range": each} for each in ranges)
        colour, shape, dash = (name(field, scale=scale) for scale in scales)
        return colour, shape, dash


def looks(lines: Iterable[str], figures: Sequence[Sequence[str]] = ()) -> Looks:
    """Seven colours and markers, then the same otherwise paired; zero-shot is a grey star.

    Lines of one of the `figures` (all, where none are given) differ in marker and dash where they
    share a colour, so that print without colours and eyes that see few of them tell them apart; as
    few as can be share one. 49 have a pair of colour and marker of their own.
    """
    found = Looks({"zero-shot": GREY}, {"zero-shot": STAR}, {"zero-shot": DASHES[0]})
    others = [line for line in dict.fromkeys(lines) if line != "zero-shot"]
    every = [(i % 7, (i + i // 7) % 7, i % 4) for i in range(49)]  # of each colour all markers
    taken: dict[str, tuple[int, int, int]] = {}
    for line in others:
        beside = {other for each in figures or [others] if line in each for other in each}
        near = [taken[other] for other in others if other in taken and other in beside]
        look = min(every, key=lambda look: (_alike(look, near), _alike(look, [*taken.values()])))
        taken[line] = look
        colour, shape, dash = look
        found.colour[line], found.shape[line] = COLOURS[colour], SHAPES[shape]
        found.dash[line] = DASHES[dash]
    return found


def _alike(look: tuple[int, int, int], others: Sequence[tuple[int, int, int]]) -> tuple[int, ...]:
    """How many others are alike in colour and marker, colour and dash, colour, marker, dash."""
    same = [tuple(a == b for a, b in zip(look, other, strict=True)) for other in others]
    both = [(c and s, c and d, c, s, d) for c, s, d in same]
    return tuple(sum(column) for column in zip(*both, strict=True)) or (0,) * 5


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
