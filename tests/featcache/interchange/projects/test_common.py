"""What Tip-Adapter's heirs share: pairs that fit, and no set twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from featcache.errors import ImportRefusedError
from featcache.interchange.given import Given
from featcache.interchange.projects import _common
from featcache.interchange.taken import MEAN, Drawn
from tests.featcache.interchange import layouts


def test_keys_fit_their_values(tmp_path: Path) -> None:
    layouts.tip_adapter(tmp_path)
    given = Given([tmp_path])
    keys, values = (next(p for _, p in given.named(f"{n}_2shots.pt")) for n in ("keys", "values"))
    taken = _common.keys_and_values(given, [(2, None, keys, values)])
    assert (taken.classes, taken.views, taken.transposed) == (5, MEAN, True)
    other = next(path for _, path in given.named("values_1shots.pt"))
    with pytest.raises(ImportRefusedError, match="none of its axes is as long as the 5 labels"):
        _common.keys_and_values(given, [(2, None, keys, other)])


def test_one_hot_labels_of_several_widths_are_refused(tmp_path: Path) -> None:
    for shots, classes in ((1, 3), (2, 4)):
        y = np.repeat(np.arange(classes), shots)
        layouts.save(tmp_path / f"values_{shots}shots.pt", layouts.one_hot(y))
        layouts.save(tmp_path / f"keys_{shots}shots.pt", layouts.cloud(y, 0)[0].T)
    given = Given([tmp_path])
    pairs = [
        (k, None, tmp_path / f"keys_{k}shots.pt", tmp_path / f"values_{k}shots.pt") for k in (1, 2)
    ]
    with pytest.raises(ImportRefusedError, match=r"3 in values_1shots\.pt and 4 in values_2"):
        _common.keys_and_values(given, pairs)


def test_sets_come_in_order_and_once() -> None:
    sets = [Drawn(k, s, np.ones((1, 1, 1)), np.ones(1)) for k, s in ((4, 1), (1, 2), (1, 1))]
    assert [each.name for each in _common.unlike(sets)] == ["k1-s1", "k1-s2", "k4-s1"]
    with pytest.raises(ImportRefusedError, match="support of 4 shots and seed 1"):
        _common.unlike([*sets, sets[0]])


def test_features_without_labels_are_refused(tmp_path: Path) -> None:
    layouts.save(tmp_path / "test_f.pt", np.ones((2, 3)))
    with pytest.raises(ImportRefusedError, match=r"has no test_l\.pt beside it"):
        _common.splits(Given([tmp_path]), r"(?P<split>val|test)_f\.pt", "{split}_l.pt")


def test_class_vectors_have_two_axes(tmp_path: Path) -> None:
    layouts.save(tmp_path / "x.pt", np.ones((2, 3, 4)))
    with pytest.raises(ImportRefusedError, match="not class vectors"):
        _common.class_vectors(Given([tmp_path]), tmp_path / "x.pt")
