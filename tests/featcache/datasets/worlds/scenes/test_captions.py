"""Captions say only what is true of a scene."""

from __future__ import annotations

from hypothesis import given, settings

from featcache.datasets.worlds.scenes import glyphs
from featcache.datasets.worlds.scenes.captions import captions
from featcache.datasets.worlds.scenes.outlines import SHAPES
from featcache.datasets.worlds.scenes.rendering import (
    COLOURS,
    TEXTURES,
    Scene,
)
from tests.featcache.datasets.worlds.scenes.strategies import scenes


@settings(max_examples=100, deadline=None)
@given(scenes)
def test_captions_name_only_what_is_there(scene: Scene) -> None:
    there = {thing.name for thing in scene.things}
    colours = {scene.background, *(thing.colour for thing in scene.things)}
    textures = {scene.ground, *(thing.texture for thing in scene.things)}
    said = captions(scene)
    assert len(said) == len(set(said)) > 0
    for caption in said:
        words = set(caption.replace(".", " ").replace('"', " ").split())
        assert words & SHAPES.keys() <= there
        assert words & COLOURS.keys() <= colours
        assert words & set(TEXTURES) - {"textured"} <= textures | {"plain"}
        digits = {glyphs.WORDS[int(name)] for name in there if name in glyphs.DIGITS}
        assert words & set(glyphs.WORDS) <= digits
        assert words & set(glyphs.DIGITS) <= there
