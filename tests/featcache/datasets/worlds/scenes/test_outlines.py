"""Outlines of shapes: inside the unit box, centred, and of the shape that their names say."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from featcache.datasets.worlds.scenes.outlines import SHAPES

Points = NDArray[np.float64]


def area(points: Points) -> float:
    """Of a polygon (shoelace formula)."""
    (x, y), (x2, y2) = points.T, np.roll(points, -1, 0).T
    return abs(float((x * y2 - x2 * y).sum())) / 2


def sides(points: Points) -> Points:
    return np.linalg.norm(np.roll(points, -1, 0) - points, axis=1)


def same(one: Points, other: Points) -> bool:
    """Whether two outlines have the same corners, wherever they begin and whichever way round."""
    order = [np.lexsort(points.round(6).T) for points in (one, other)]
    return np.allclose(one[order[0]], other[order[1]], atol=1e-6)


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_fills_its_unit_box(name: str) -> None:
    for outline in SHAPES[name]:
        assert outline.ndim == 2
        assert outline.shape[1] == 2
        assert len(outline) >= 3
        assert (abs(outline) <= 0.5 + 1e-3).all()
    outer = SHAPES[name][0]
    extent = np.ptp(outer, axis=0)
    assert extent.max() >= 0.8  # no shape is told from another by being small
    assert extent.min() >= 0.45
    assert (abs(outer.max(0) + outer.min(0)) <= 0.11).all()  # near the middle
    assert area(outer) > 0.2


@pytest.mark.parametrize(
    ("name", "expected"),
    {
        "circle": np.pi / 4,
        "ellipse": np.pi / 8,
        "square": 0.85**2,
        "rectangle": 0.5,
        "triangle": 0.45,
        "diamond": 0.36,
        "pentagon": 5 / 8 * np.sin(2 * np.pi / 5),
        "hexagon": 6 / 8 * np.sin(2 * np.pi / 6),
        "star": 5 * 0.5 * 0.2 * np.sin(np.pi / 5),
        "cross": 0.32 * 1.0 * 2 - 0.32**2,
        "arrow": 0.5 * 0.76 * 0.4 + 0.3 * 0.6,
    }.items(),
)
def test_areas_are_those_of_geometry(name: str, expected: float) -> None:
    # Circles have sixty corners, which costs them 0.2 per cent.
    assert area(SHAPES[name][0]) == pytest.approx(expected, rel=3e-3)


@pytest.mark.parametrize(("name", "corners"), [("square", 4), ("pentagon", 5), ("hexagon", 6)])
def test_regular_shapes_have_equal_sides(name: str, corners: int) -> None:
    (outline,) = SHAPES[name]
    assert len(outline) == corners
    assert np.allclose(sides(outline), sides(outline)[0])


@pytest.mark.parametrize(
    "name", ["triangle", "star", "pentagon", "hexagon", "cross", "heart", "diamond", "square"]
)
def test_upright_shapes_are_their_own_mirror_images(name: str) -> None:
    outline = SHAPES[name][0]
    assert same(outline, outline * (-1, 1))


@pytest.mark.parametrize("name", ["arrow", "crescent", "cross", "ellipse"])
def test_lying_shapes_are_the_same_above_and_below(name: str) -> None:
    outline = SHAPES[name][0]
    assert same(outline, outline * (1, -1))


def test_a_cross_is_the_same_turned_by_a_quarter() -> None:
    outline = SHAPES["cross"][0]
    assert same(outline, outline[:, ::-1] * (-1, 1))


def test_y_runs_down() -> None:
    """The triangle, the star and the pentagon point up; the heart down; the arrow right."""
    for name in ("triangle", "star", "pentagon"):
        top = SHAPES[name][0][SHAPES[name][0][:, 1].argmin()]
        assert top == pytest.approx((0, -0.5), abs=1e-9)
    heart = SHAPES["heart"][0]
    assert heart[heart[:, 1].argmax()][0] == pytest.approx(0, abs=1e-9)
    arrow = SHAPES["arrow"][0]
    assert arrow[arrow[:, 0].argmax()] == pytest.approx((0.5, 0))


def test_a_ring_alone_has_a_hole_and_it_lies_inside() -> None:
    assert [name for name, outlines in SHAPES.items() if len(outlines) > 1] == ["ring"]
    outer, hole = (np.linalg.norm(outline, axis=1) for outline in SHAPES["ring"])
    assert np.allclose(outer, 0.5)
    assert np.allclose(hole, 0.28)


def test_a_crescent_is_hollow_on_one_side() -> None:
    """Its area is far from that of its hull, which begins where a disc's would."""
    (outline,) = SHAPES["crescent"]
    assert area(outline) < 0.55 * np.pi / 4
    assert len(outline) == 80
