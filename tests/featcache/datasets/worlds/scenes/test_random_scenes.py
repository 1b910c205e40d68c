"""Scenes at random: what is fixed is kept, what is drawn can be drawn, and seeds repeat."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featcache.datasets.worlds.scenes import glyphs
from featcache.datasets.worlds.scenes.captions import RELATIONS
from featcache.datasets.worlds.scenes.outlines import SHAPES
from featcache.datasets.worlds.scenes.random_scenes import KINDS, generator, random_scene
from featcache.datasets.worlds.scenes.rendering import COLOURS, STYLES, TEXTURES, Scene
from tests.featcache.datasets.worlds.scenes.strategies import scenes

seeds = st.integers(0, 2**32)


def many(kind: str | None = None, count: int = 400, **fixed: str) -> list[Scene]:
    rng = np.random.default_rng(0)
    return [random_scene(rng, kind, **fixed) for _ in range(count)]


@settings(max_examples=200, deadline=None)
@given(scenes)
def test_every_scene_can_be_seen(scene: Scene) -> None:
    assert scene.background in COLOURS
    assert scene.ground in TEXTURES
    assert scene.style in STYLES
    assert 0 <= scene.seed < 2**62
    assert len(scene.things) <= 2
    for thing in scene.things:
        assert thing.name in SHAPES or thing.name in glyphs.DIGITS + glyphs.CAPITALS + glyphs.SMALL
        assert thing.colour != scene.background
        assert thing.texture in TEXTURES
        assert 0 < thing.x < 1
        assert 0 < thing.y < 1
        assert 0.3 <= thing.size <= 1
    if scene.style == "sketch" and scene.things and scene.things[0].name in SHAPES:
        assert scene.background == "white"  # drawn on paper, and yellow would not be seen on it
        assert all(thing.colour != "yellow" for thing in scene.things)


@settings(max_examples=60, deadline=None)
@given(seeds, st.sampled_from(STYLES), st.sampled_from(sorted(SHAPES)))
def test_a_shape_keeps_what_is_fixed_and_stays_inside(seed: int, style: str, name: str) -> None:
    scene = random_scene(np.random.default_rng(seed), "shape", style, name)
    (thing,) = scene.things
    assert (scene.style, thing.name) == (style, name)
    assert scene.ground == "plain"
    assert (thing.texture != "plain") == (style == "textured")
    assert abs(thing.x - 0.5) <= 0.5 - thing.size / 2 + 1e-9
    assert abs(thing.y - 0.5) <= 0.5 - thing.size / 2 + 1e-9
    assert not thing.by_hand


@settings(max_examples=60, deadline=None)
@given(seeds, st.sampled_from(RELATIONS), st.sampled_from(sorted(SHAPES)))
def test_a_pair_stands_as_its_relation_says(seed: int, how: str, name: str) -> None:
    first, second = random_scene(np.random.default_rng(seed), "pair", name=name, how=how).things
    assert first.name == name != second.name
    dx, dy = first.x - second.x, first.y - second.y
    along, off = (dy, dx) if how in ("above", "below") else (dx, dy)
    sign = {"above": -1, "left of": -1, "below": 1, "right of": 1}[how]  # y runs down
    assert 0.44 <= sign * along <= 0.56
    assert abs(off) <= 0.2
    # Around the middle, so that the place of one thing alone does not give the answer away.
    assert (first.x + second.x, first.y + second.y) == pytest.approx((1, 1))
    assert 0.3 <= min(first.size, second.size) <= max(first.size, second.size) <= 0.45


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_a_pattern_has_a_ground_alone(seed: int) -> None:
    scene = random_scene(np.random.default_rng(seed), "pattern")
    assert scene.things == ()
    assert scene.style in ("clean", "noisy", "blurred", "photo")


def test_everything_that_can_be_drawn_is_drawn() -> None:
    by_kind = {kind: many(kind) for kind in KINDS}
    assert {s.things[0].name for s in by_kind["digit"]} == set(glyphs.DIGITS)
    letters = {s.things[0].name for s in by_kind["letter"]}
    assert letters == set(glyphs.CAPITALS) | set(glyphs.SMALL)
    assert {s.things[0].name for s in by_kind["shape"]} == set(SHAPES)
    assert {s.ground for s in by_kind["pattern"]} == set(TEXTURES)
    assert {s.things[0].texture for s in by_kind["shape"] if s.style == "textured"} == set(
        TEXTURES[1:]
    )
    assert {s.style for s in by_kind["shape"]} == set(STYLES)
    assert {s.background for s in by_kind["pair"]} == set(COLOURS)


def test_small_letters_are_printed() -> None:
    """There are strokes of capitals alone."""
    for scene in many("letter"):
        (thing,) = scene.things
        assert not (thing.by_hand and thing.name in glyphs.SMALL)


def test_shares_are_about_those_that_were_meant() -> None:
    """Within four standard deviations of 400 draws: a tenth."""
    digits = many("digit")
    share = sum(s.things[0].by_hand for s in digits) / len(digits)
    assert abs(share - 0.75) < 0.1
    plain = sum({s.background, s.things[0].colour} == {"black", "white"} for s in digits)
    assert abs(plain / len(digits) - 0.6) < 0.1
    low = sum(s.style == "low resolution" for s in digits) / len(digits)
    assert abs(low - (0.4 + 0.6 / len(STYLES))) < 0.1
    kinds = Counter(_kind(scene) for scene in many())
    for kind, wanted in zip(("glyph", "shape", "pair", "pattern"), (0.6, 0.22, 0.1, 0.08),
                            strict=True):  # fmt: skip
        assert abs(kinds[kind] / 400 - wanted) < 0.1


def _kind(scene: Scene) -> str:
    if len(scene.things) != 1:
        return "pair" if scene.things else "pattern"
    return "shape" if scene.things[0].name in SHAPES else "glyph"


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match=r"kind must be one of digit, letter, .*, not picture"):
        random_scene(np.random.default_rng(0), "picture")


def test_the_same_seed_is_the_same_scene() -> None:
    one, other, next_ = (random_scene(generator(seed, "a", 3)) for seed in (1, 1, 2))
    assert one == other != next_


def test_numbers_depend_on_every_name_and_their_order() -> None:
    names = [(), ("a",), ("b",), ("a", "b"), ("b", "a"), ("a", 1), (1, "a"), (1,), (2,)]
    drawn = [float(generator(1, *each).random()) for each in names]
    assert len(set(drawn)) == len(names)
    assert float(generator(1, "a").random()) == drawn[1]


def test_numbers_are_the_same_in_every_process() -> None:
    """The hash of text is another one in each, and must not come in."""
    script = (
        "from featcache.datasets.worlds.scenes.random_scenes import generator\n"
        "print(float(generator(7, 'train', 'star', 3).random()))"
    )
    found = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONHASHSEED": "4", "PYTHONPATH": str(Path(__file__).parents[5])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(found.stdout) == float(generator(7, "train", "star", 3).random())
