"""ProKeR: seeds and shots in names, splits in names or not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from featcache.errors import ImportRefusedError
from featcache.interchange.offer import Said, look
from tests.entries import NARROW
from tests.featcache.interchange import layouts


@pytest.mark.parametrize(
    ("name", "split"),
    [("pets_val.pt", "val"), ("features.pt", "test"), ("trained_model_test.pt", "test")],
)
def test_a_name_says_the_split(tmp_path: Path, name: str, split: str) -> None:
    held = layouts.proker(tmp_path)
    (held.folder / "pets_test.pt").rename(held.folder / name)
    offer = look([tmp_path], "pets", NARROW, Said())
    assert [key for key in offer.taken.arrays if key.endswith("features")] == [f"{split}_features"]


def test_other_keys_are_refused(tmp_path: Path) -> None:
    held = layouts.proker(tmp_path)
    layouts.save(held.folder / "pets_shots_s5_k2.pt", {"vecs": np.ones((2, 3)), "l": np.ones(2)})
    with pytest.raises(ImportRefusedError, match="holds vecs, l, not vecs and labels"):
        look([tmp_path], "pets", NARROW, Said())


def test_one_view_is_no_stack(tmp_path: Path) -> None:
    y = layouts.drawn()
    content = {"vecs": layouts.cloud(y, 0)[0], "labels": y}
    layouts.save(tmp_path / "pets_shots_s1_k2.pt", content)
    assert look([tmp_path], "pets", NARROW, Said()).taken.views == "none"
