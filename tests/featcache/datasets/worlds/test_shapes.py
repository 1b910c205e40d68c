"""Single shapes in four styles."""

from __future__ import annotations

import numpy as np
import pytest

from featcache.datasets.registry import load
from featcache.datasets.worlds import shapes
from featcache.datasets.worlds.scenes.rendering import GRAINY, Scene
from featcache.targets import targets_of


def test_shape_items_are_independent_of_their_number() -> None:
    few, many = (shapes.items("clean", 1, "train", n) for n in (2, 5))
    assert set(few) < set(many)
    assert few[0][0] == "clean/train/circle-0000"
    assert not {scene for _, scene, _ in many} & {
        scene for _, scene, _ in shapes.items("clean", 1, "test", 5)
    }
    with pytest.raises(ValueError, match="style"):
        shapes.items("cubist", 1, "train", 1)


def test_the_styles_are_targets_of_the_plain_shapes() -> None:
    plain = load("shapes").classnames
    for name in targets_of("shapes", "targets"):
        target = load(name)
        assert set(target.splits) == {"test"}
        assert list(target.classnames) == [c for c in plain if c in target.classnames]
        for item in target.splits["test"]:
            assert f"/{target.classnames[item.label]}-" in item.id
    assert load("shapes-noisy").classnames == plain[::2]


def test_grains_are_two_pixels_wide() -> None:
    """Noise the width of a pixel is lost on a model of 32 pixels; this is not."""
    plain = Scene((), "grey", "clean", seed=5).pixels()
    grainy = Scene((), "grey", GRAINY, seed=5).pixels()
    grains = grainy.astype(int) - plain
    np.testing.assert_array_equal(grains[::2, ::2], grains[1::2, 1::2])
    assert grains.std() > 20
