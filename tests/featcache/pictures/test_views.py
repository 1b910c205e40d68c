from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featcache.errors import ConfigError
from featcache.pictures.views import View, ViewRecipe, view

sides = st.integers(1, 3000)


@given(sides, sides, st.integers(1, 50), st.text(), st.floats(0.01, 1), st.floats(0.1, 3))
def test_a_view_lies_inside_its_picture(
    height: int, width: int, index: int, item: str, scale: float, ratio: float
) -> None:
    recipe = ViewRecipe(8, seed=3, scale=(scale / 2, scale), ratio=(ratio, ratio * 1.5))
    box = view(recipe, item, index, height, width)
    assert 0 <= box.top <= box.top + box.height <= height
    assert 0 <= box.left <= box.left + box.width <= width
    assert box.height > 0
    assert box.width > 0


def test_views_never_change() -> None:
    """Caches on disk depend on these numbers: a change here makes other features."""
    recipe = ViewRecipe(2)
    assert view(recipe, "cat/1.jpg", 1, 300, 400) == View(18, 37, 279, 220, True)
    assert view(recipe, "cat/1.jpg", 2, 300, 400) == View(25, 146, 130, 144, True)


def test_a_view_depends_on_seed_picture_and_number_alone() -> None:
    recipe = ViewRecipe(2)
    one = view(recipe, "a b", 1, 300, 400)
    assert one == view(ViewRecipe(9), "a b", 1, 300, 400)
    others = [
        view(ViewRecipe(2, seed=2), "a b", 1, 300, 400),
        view(recipe, "a  b", 1, 300, 400),
        view(recipe, "a b", 2, 300, 400),
        view(recipe, "1 a b", 1, 300, 400),
    ]
    assert len({one, *others}) == 5


def test_flip_off_keeps_the_picture_upright() -> None:
    recipe = ViewRecipe(1, flip=False)
    assert not any(view(recipe, str(i), 1, 64, 64).flipped for i in range(50))


@pytest.mark.parametrize(("height", "width", "scale"), [(64, 64, 0.08), (300, 500, 0.5)])
def test_views_are_distributed_as_torchvisions(height: int, width: int, scale: float) -> None:
    import torch
    from torchvision.transforms import RandomResizedCrop

    count, recipe = 4000, ViewRecipe(1, scale=(scale, 1.0))
    boxes = [view(recipe, str(i), 1, height, width) for i in range(count)]
    mine = np.array([(b.top, b.left, b.height, b.width) for b in boxes], float)
    torch.manual_seed(0)
    blank, ranges = torch.empty(3, height, width), ([scale, 1.0], [3 / 4, 4 / 3])
    theirs = np.array([RandomResizedCrop.get_params(blank, *ranges) for _ in range(count)], float)
    flips = np.mean([b.flipped for b in boxes])
    assert abs(flips - 0.5) < 0.03
    for column in range(4):
        # Two-sample Kolmogorov-Smirnov, far beyond chance at 1.95 (p = 0.001).
        values = np.unique(np.concatenate([mine[:, column], theirs[:, column]]))
        steps = [
            np.searchsorted(np.sort(x[:, column]), values, "right") / count for x in (mine, theirs)
        ]
        assert np.abs(steps[0] - steps[1]).max() < 1.95 * math.sqrt(2 / count)


def test_a_picture_that_no_crop_fits_gives_its_centre() -> None:
    assert view(ViewRecipe(1, flip=False), "x", 1, 10, 1000) == View(0, 493, 10, 13, False)
    assert view(ViewRecipe(1, flip=False), "x", 1, 1000, 10) == View(493, 0, 13, 10, False)


@pytest.mark.parametrize(
    "wrong", [{"count": -1}, {"scale": (0.0, 1.0)}, {"scale": (0.5, 0.1)}, {"ratio": (2.0, 1.0)}]
)
def test_recipes_that_cannot_be_drawn_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        ViewRecipe(**{"count": 1, **wrong})  # type: ignore[arg-type]


def test_view_zero_is_not_drawn() -> None:
    with pytest.raises(ConfigError, match="no view 0"):
        view(ViewRecipe(1), "x", 0, 10, 10)
