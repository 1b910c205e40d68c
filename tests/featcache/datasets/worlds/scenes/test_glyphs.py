"""Characters written by hand vary and stay inside."""

from __future__ import annotations

import numpy as np
import pytest

from featcache.datasets.worlds.scenes import glyphs


@pytest.mark.parametrize("char", sorted(glyphs.SKELETONS))
def test_handwriting_varies_and_fits(char: str) -> None:
    rng = np.random.default_rng(0)
    masks = [np.asarray(glyphs.handwritten(char, rng, 64, (0.5, 0.5), 0.9)) for _ in range(5)]
    assert len({mask.tobytes() for mask in masks}) == 5
    for mask in masks:
        assert mask.any()
        assert not mask[[0, -1]].any()
        assert not mask[:, [0, -1]].any()
