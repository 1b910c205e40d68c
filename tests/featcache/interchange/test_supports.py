"""Support sets that cannot be: refused by a sentence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from featcache.errors import ImportRefusedError
from featcache.interchange.supports import check
from featcache.interchange.taken import Drawn
from tests.featcache.interchange.layouts import CLASSES, WIDTH, cloud, drawn

GOOD = Drawn(2, 1, cloud(drawn(2), 0, views=3), drawn(2))


def test_a_good_one_says_nothing() -> None:
    assert check([GOOD], CLASSES, WIDTH) == ()
    assert check([replace(GOOD, pre=True)], CLASSES, WIDTH + 1) == ()


def test_what_people_should_know() -> None:
    fewer = replace(GOOD, features=GOOD.features[:, 1:], labels=GOOD.labels[1:])
    assert check([fewer], CLASSES, 0) == ("support k2-s1: 1 classes have fewer than 2.",)
    order = np.argsort(GOOD.labels, kind="stable")
    ordered = replace(GOOD, features=GOOD.features[:, order], labels=GOOD.labels[order])
    assert check([ordered], CLASSES, 0) == ("the support is sorted by class.",)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"features": GOOD.features[0]}, "no floating features"),
        ({"features": GOOD.features.astype(int)}, "no floating features"),
        ({"labels": GOOD.labels + 0.5}, "a whole number each"),
        ({"labels": GOOD.labels[1:]}, "no floating features"),
        ({"labels": GOOD.labels + 1}, "labels run from 1 to 5, but there are 5"),
        ({"labels": GOOD.labels - 1}, "labels run from -1 to 3"),
        ({"shots": 1}, "class 0 has 2 pictures for 1 shots"),
        ({"features": GOOD.features * np.nan}, "not finite"),
        ({"features": GOOD.features * 0}, "all zeros"),
        ({"ids": ("a",)}, "1 paths for 10 rows"),
        ({"features": GOOD.features[..., 1:]}, "15 wide and other features 16"),
    ],
)
def test_refusals(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ImportRefusedError, match=words):
        check([replace(GOOD, **change)], CLASSES, WIDTH)
