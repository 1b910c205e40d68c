"""The outlines of the shapes, each in a unit box centred at 0, x to the right and y down."""

import numpy as np
from numpy.typing import NDArray


def _ring(n: int, radius: float = 0.5, turn: float = 0.0) -> NDArray[np.float64]:
    angle = np.arange(n) / n * 2 * np.pi - np.pi / 2 + turn
    return radius * np.stack([np.cos(angle), np.sin(angle)], 1)


def _box(width: float, height: float) -> NDArray[np.float64]:
    return np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (width / 2, height / 2)


def _star() -> NDArray[np.float64]:
    return np.stack([_ring(5), _ring(5, 0.2, np.pi / 5)], 1).reshape(-1, 2)


def _cross() -> NDArray[np.float64]:
    corner = np.array([(0.16, -0.5), (0.16, -0.16), (0.5, -0.16)])
    quarter = np.array([(0, 1), (-1, 0)])
    arms = [corner @ np.linalg.matrix_power(quarter, n) for n in range(4)]
    return np.concatenate(arms)


def _arrow() -> NDArray[np.float64]:
    upper = np.array([(0.1, -0.38), (0.1, -0.15), (-0.5, -0.15)])
    return np.concatenate([[(0.5, 0)], upper, upper[::-1] * (1, -1)])


def _heart() -> NDArray[np.float64]:
    t = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([16 * np.sin(t) ** 3, -y - 2.5], 1) / 33


def _crescent() -> NDArray[np.float64]:
    t = np.linspace(-2.3, 2.3, 40)
    outer = np.stack([-np.cos(t), np.sin(t)], 1) * 0.5
    inner = outer[::-1] * (0.45, 1.0)
    inner[:, 0] += (1 - 0.45) * outer[0, 0]
    both: NDArray[np.float64] = np.concatenate([outer, inner])
    both[:, 0] += 0.1
    return both


# Each shape is its outline, and where it has one, the outline of its hole.
SHAPES: dict[str, tuple[NDArray[np.float64], ...]] = {
    "circle": (_ring(60),),
    "square": (_box(0.85, 0.85),),
    "triangle": (np.array([(0, -0.5), (0.5, 0.4), (-0.5, 0.4)]),),
    "rectangle": (_box(1.0, 0.5),),
    "ellipse": (_ring(60) * (1.0, 0.5),),
    "star": (_star(),),
    "pentagon": (_ring(5),),
    "hexagon": (_ring(6),),
    "cross": (_cross(),),
    "ring": (_ring(60), _ring(60, 0.28)),
    "heart": (_heart(),),
    "diamond": (np.array([(0, -0.5), (0.36, 0), (0, 0.5), (-0.36, 0)]),),
    "arrow": (_arrow(),),
    "crescent": (_crescent(),),
}
