"""Scenes of two shapes of which one thing is known to hold, and another known not to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from featcache.datasets.worlds.scenes.outlines import SHAPES
from featcache.datasets.worlds.scenes.rendering import COLOURS, Scene, Thing

# Shapes without a hole and not much longer than wide, so that others can touch and lie within them.
SOLID = ("circle", "square", "triangle", "star", "pentagon", "hexagon", "cross", "heart", "diamond")
SIDES = {"left": (-1, 0), "right": (1, 0), "above": (0, -1), "below": (0, 1)}
# The renderer turns and stretches each shape a little, by chance: so far are contacts kept safe.
TURNS, STRETCH = np.linspace(-0.3, 0.3, 7), 0.08
ACROSS = np.linspace(-0.8, 0.8, 81)


@dataclass(frozen=True)
class Stance:
    """How the first shape stands to the second.

    `side` is one of SIDES, `contact` is `apart`, `touching` or `inside` (the side says nothing
    then), `size` is `larger`, `smaller` or `alike`.
    """

    side: str
    contact: str
    size: str
    same_colour: bool


RELATIONS: dict[str, Callable[[Stance], bool]] = {
    "left of": lambda s: s.side == "left" and s.contact != "inside",
    "above": lambda s: s.side == "above" and s.contact != "inside",
    "inside": lambda s: s.contact == "inside",
    "larger than": lambda s: s.size == "larger",
    "touching": lambda s: s.contact == "touching",
    "right of": lambda s: s.side == "right" and s.contact != "inside",
    "below": lambda s: s.side == "below" and s.contact != "inside",
    "same colour as": lambda s: s.same_colour,
}
STANCES = tuple(
    Stance(side, contact, size, same)
    for side in SIDES
    for contact in ("apart", "touching", "inside")
    for size in ("larger", "smaller", "alike")
    for same in (False, True)
    # Within another a shape is smaller, and of the same colour it would not be seen.
    if contact != "inside" or (size == "smaller" and not same)
)


def related_scene(
    rng: np.random.Generator, first: str, second: str, holds: str, fails: str
) -> Scene:
    """Draw at random a scene in which one relation holds between two shapes and one does not.

    The shapes are names of SOLID, the relations of RELATIONS; all the rest is left to chance.
    """
    fitting = [s for s in STANCES if RELATIONS[holds](s) and not RELATIONS[fails](s)]
    stance = fitting[int(rng.integers(len(fitting)))]
    ground, ink, other = rng.permutation(list(COLOURS))[:3].tolist()
    if stance.contact == "inside":
        first_place, second_place = _within(rng, first, second)
    else:
        first_place, second_place = _beside(rng, first, second, stance)
    one = Thing(first, ink, "plain", *first_place)
    two = Thing(second, ink if stance.same_colour else other, "plain", *second_place)
    # The smaller is drawn over the larger, or it would not be seen.
    return Scene(
        (two, one) if one.size <= two.size else (one, two),
        ground,
        "clean",
        int(rng.integers(2**62)),
    )


Place = tuple[float, float, float]  # x, y, size


def _within(rng: np.random.Generator, first: str, second: str) -> tuple[Place, Place]:
    x, y = (float(v) for v in rng.uniform(0.47, 0.53, 2))
    outer = float(rng.uniform(0.7, 0.85))
    least = np.linalg.norm(_outline(second), axis=1).min() * (1 - STRETCH)
    most = np.linalg.norm(_outline(first), axis=1).max() * (1 + STRETCH)
    # Far smaller than shapes side by side ever are.
    inner = outer * min(1 / 3.2, 0.9 * float(least / most))
    return (x, y, inner), (x, y, outer)


def _beside(
    rng: np.random.Generator, first: str, second: str, stance: Stance
) -> tuple[Place, Place]:
    small, large = float(rng.uniform(0.17, 0.2)), float(rng.uniform(0.38, 0.44))
    alike = float(rng.uniform(0.25, 0.36))
    sizes = {"larger": (large, small), "smaller": (small, large), "alike": (alike, alike)}
    one, two = sizes[stance.size]
    across, down = SIDES[stance.side]
    # The first looks back at the second, the second towards the first.
    near = _edge(first, (-across, -down)), _edge(second, (across, down))
    touch, clear = (
        float(np.max(_at(near[0][way], one) + _at(near[1][way], two)[::-1])) for way in (0, 1)
    )
    apart = stance.contact == "apart"
    distance = clear + float(rng.uniform(0.04, 0.1)) if apart else touch - 0.02
    # Shared so that both together, large or small, lie in the middle.
    share = 0.5 + (two - one) / (4 * distance)
    x, y = (float(v) for v in 0.5 + rng.uniform(-0.04, 0.04, 2))
    return (
        (x + across * distance * share, y + down * distance * share, one),
        (x - across * distance * (1 - share), y - down * distance * (1 - share), two),
    )


def _at(edge: NDArray[np.float64], size: float) -> NDArray[np.float64]:
    """An edge of a shape of that size, where that of a shape of size 1 is known."""
    found = size * np.interp(ACROSS / size, ACROSS, edge, left=-np.inf, right=-np.inf)
    return np.where(np.isnan(found), -np.inf, found)


@cache
def _edge(name: str, way: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How far a shape reaches that way on each line of ACROSS: however it is turned, and at most.

    Lines run to the left of those who look that way; -inf is where there is nothing.
    """
    points, step = _outline(name), ACROSS[1] - ACROSS[0]
    ahead = np.array(way)
    left = np.array([ahead[1], -ahead[0]])
    reaches = []
    for angle in TURNS:
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        turned = points @ turn.T
        line = np.rint((turned @ left - ACROSS[0]) / step).astype(int)
        reach = np.full(len(ACROSS), -np.inf)
        np.maximum.at(reach, line, turned @ ahead)
        reaches.append(reach)
    return np.min(reaches, 0) - STRETCH / 2, np.max(reaches, 0) + STRETCH / 2


@cache
def _outline(name: str) -> NDArray[np.float64]:
    """Points `[n, 2]` close together all the way around a shape of size 1."""
    corners = SHAPES[name][0]
    along = np.linspace(0, 1, 100, endpoint=False)[:, None, None]
    return (corners + along * (np.roll(corners, -1, 0) - corners)).reshape(-1, 2)
