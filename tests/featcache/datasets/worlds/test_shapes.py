"""Single shapes in four styles."""

from __future__ import annotations

import pytest

from featcache.datasets.worlds import shapes


def test_shape_items_are_independent_of_their_number() -> None:
    few, many = (shapes.items("clean", 1, "train", n) for n in (2, 5))
    assert set(few) < set(many)
    assert few[0][0] == "clean/train/circle-0000"
    assert not {scene for _, scene, _ in many} & {
        scene for _, scene, _ in shapes.items("clean", 1, "test", 5)
    }
    with pytest.raises(ValueError, match="style"):
        shapes.items("cubist", 1, "train", 1)
