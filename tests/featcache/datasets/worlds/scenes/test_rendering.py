"""The renderer draws the same bytes for the same scene, where the scene says."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings

from featcache.datasets.worlds.scenes.captions import captions
from featcache.datasets.worlds.scenes.outlines import SHAPES
from featcache.datasets.worlds.scenes.rendering import (
    STYLES,
    Scene,
    Thing,
    render,
)
from tests.featcache.datasets.worlds.scenes.strategies import scenes


@settings(max_examples=40, deadline=None)
@given(scenes)
def test_same_scene_same_bytes(scene: Scene) -> None:
    picture = scene.pixels()
    assert picture.shape == (64, 64, 3)
    assert picture.dtype == np.uint8
    np.random.default_rng().random()
    np.testing.assert_array_equal(picture, render(pickle.loads(pickle.dumps(scene))))


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_styles_differ(name: str) -> None:
    thing = Thing(name, "red", "striped")
    drawn = {render(Scene((thing,), "white", style, seed=3)).tobytes() for style in STYLES}
    # Clean and textured are drawn alike: what tells them apart is the things' own texture.
    assert len(drawn) == len(STYLES) - 1


def test_ink_lies_where_the_scene_says() -> None:
    low_left = Thing("circle", "black", x=0.25, y=0.75, size=0.3)
    dark = render(Scene((low_left,), "white", "clean", seed=0)).mean(2) < 128
    rows, columns = dark.nonzero()
    assert abs(rows.mean() / 64 - 0.75) < 0.03
    assert abs(columns.mean() / 64 - 0.25) < 0.03
    assert "a circle at the bottom left" in captions(Scene((low_left,), "white", "clean", seed=0))
