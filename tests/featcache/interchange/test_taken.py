"""What is taken: a seed for sets without one, and nothing twice."""

from __future__ import annotations

import numpy as np
import pytest

from featcache.errors import ImportRefusedError
from featcache.interchange.taken import VAL, Drawn, Taken, put


def test_a_seed_goes_to_sets_without_one() -> None:
    sets = tuple(Drawn(2, seed, np.ones((1, 2, 3)), np.arange(2)) for seed in (None, 3))
    taken = Taken({}, sets)
    assert taken.seedless
    assert [each.seed for each in taken.seeded(1).supports] == [1, 3]
    assert not taken.seeded(1).seedless
    assert taken.seeded(None).seedless
    assert [each.name for each in sets] == ["k2-s?", "k2-s3"]
    assert Drawn(2, 3, np.ones(1), np.ones(1), part=VAL).name == "k2-s3-val"


def test_twice_the_same_is_once_and_another_is_refused() -> None:
    arrays: dict[str, np.ndarray] = {}
    for _ in range(2):
        put(arrays, "x", np.arange(3), "a.pt")
    for other in (np.arange(4), np.arange(3) + 1):
        with pytest.raises(ImportRefusedError, match=r"a\.pt: other x stand"):
            put(arrays, "x", other, "a.pt")
    assert arrays["x"].tolist() == [0, 1, 2]
