"""What is said to hold between two shapes is what is drawn."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import label

from featcache.datasets.worlds.scenes.related import RELATIONS, SOLID, STANCES, related_scene
from featcache.datasets.worlds.scenes.rendering import Scene, Thing


def contact(scene: Scene) -> str:
    """How the two touch, by the pixels: the larger is inked, and so is the smaller, or left white.

    A shape much smaller than another is tried as a hole in it.
    """
    outer, inner = scene.things
    small = outer.size > 3 * inner.size
    things = (replace(outer, colour="black"), replace(inner, colour="white" if small else "black"))
    drawn = replace(scene, things=things, background="white").pixels().mean(2)
    dark = np.pad(drawn < 160, 1)
    if small:
        assert pieces(dark) == 1
        assert pieces(~dark) == 2, "the hole is open"
        return "inside"
    return "touching" if pieces(dark) == 1 else "apart"


def pieces(ink: NDArray[np.bool_]) -> int:
    """In how many pieces it is; a tip of a star that is thinner than a pixel is none."""
    found, n = label(ink, np.ones((3, 3)))
    return int((np.bincount(found.ravel(), minlength=n + 1)[1:] > 6).sum())


def seen(scene: Scene, first: str) -> dict[str, bool]:
    """Which relations hold, by where the shapes lie and by the pixels."""
    one, two = named(scene, first)
    how = contact(scene)
    inside = how == "inside"
    across, down = one.x - two.x, one.y - two.y
    level = abs(across) > abs(down)
    return {
        "left of": not inside and level and across < 0,
        "right of": not inside and level and across > 0,
        "above": not inside and not level and down < 0,
        "below": not inside and not level and down > 0,
        "inside": inside,
        "larger than": one.size > two.size,
        "touching": how == "touching",
        "same colour as": one.colour == two.colour,
    }


def named(scene: Scene, first: str) -> tuple[Thing, Thing]:
    one, two = scene.things
    return (one, two) if one.name == first else (two, one)


@pytest.mark.parametrize(("holds", "fails"), list(permutations(RELATIONS, 2)))
def test_one_relation_holds_and_the_other_does_not(holds: str, fails: str) -> None:
    rng = np.random.default_rng(list(map(ord, holds + fails)))
    for first, second in [rng.permutation(SOLID)[:2].tolist() for _ in range(12)]:
        scene = related_scene(rng, first, second, holds, fails)
        assert {thing.name for thing in scene.things} == {first, second}
        assert scene.background not in {thing.colour for thing in scene.things}
        found = seen(scene, first)
        assert found[holds], scene
        assert not found[fails], scene


def test_nothing_else_is_told_by_a_relation() -> None:
    """Each other relation is there in some pictures and not in others, where it can be."""
    rng = np.random.default_rng(0)
    for holds, fails in (("touching", "inside"), ("left of", "inside")):
        drawn = [related_scene(rng, "circle", "star", holds, fails) for _ in range(60)]
        found = [seen(scene, "circle") for scene in drawn]
        for free in ("larger than", "same colour as"):
            assert {each[free] for each in found} == {True, False}
    assert len(set(STANCES)) == len(STANCES)
