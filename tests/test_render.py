"""The renderer draws the same bytes for the same scene and says only what is true of it."""

import pickle

import numpy as np
import pytest
from featcache.datasets.invent import KINDS, random_scene
from featcache.datasets.outlines import SHAPES
from featcache.datasets.render import COLOURS, STYLES, TEXTURES, Scene, Thing, render
from featcache.datasets.wording import captions, relation
from hypothesis import given, settings
from hypothesis import strategies as st

from featcache.datasets import glyphs, shapes

scenes = st.builds(
    lambda seed, kind: random_scene(np.random.default_rng(seed), kind=kind),
    st.integers(0, 2**32),
    st.sampled_from(KINDS),
)


@settings(max_examples=40, deadline=None)
@given(scenes)
def test_same_scene_same_bytes(scene: Scene) -> None:
    picture = scene.pixels()
    assert picture.shape == (64, 64, 3)
    assert picture.dtype == np.uint8
    np.random.default_rng().random()
    np.testing.assert_array_equal(picture, render(pickle.loads(pickle.dumps(scene))))


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


@pytest.mark.parametrize("char", sorted(glyphs.SKELETONS))
def test_handwriting_varies_and_fits(char: str) -> None:
    rng = np.random.default_rng(0)
    masks = [np.asarray(glyphs.handwritten(char, rng, 64, (0.5, 0.5), 0.9)) for _ in range(5)]
    assert len({mask.tobytes() for mask in masks}) == 5
    for mask in masks:
        assert mask.any()
        assert not mask[[0, -1]].any()
        assert not mask[:, [0, -1]].any()


def test_shape_items_are_independent_of_their_number() -> None:
    few, many = (shapes.scenes("clean", 1, "train", n) for n in (2, 5))
    assert set(few) < set(many)
    assert few[0][0] == "clean/train/circle-0000"
    assert not {scene for _, scene, _ in many} & {
        scene for _, scene, _ in shapes.scenes("clean", 1, "test", 5)
    }
    with pytest.raises(ValueError, match="style"):
        shapes.scenes("cubist", 1, "train", 1)


def test_pairs_stand_in_their_relation() -> None:
    for _, scene, label in shapes.pairs(1, "test", 40):
        first, second = scene.things
        assert relation(first, second) == shapes.RELATIONS[label]
        choices = shapes.relation_choices(scene)
        assert [choice in captions(scene) for choice in choices].index(True) == label
        assert sum(choice in captions(scene) for choice in choices) == 1
