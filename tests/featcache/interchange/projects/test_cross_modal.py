"""Cross-Modal: ids from paths, validation of each draw, layers and views that are not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from featcache import FeatureCache, import_features
from featcache.errors import ImportRefusedError
from featcache.interchange.offer import Said, look
from tests.entries import NARROW
from tests.featcache.interchange import layouts


def test_pictures_validation_and_prompts_are_known(tmp_path: Path) -> None:
    held = layouts.cross_modal(tmp_path / "theirs")
    cache = FeatureCache(tmp_path / "cache")
    entry = import_features([held.folder], "pets", NARROW, cache)
    support, val = entry.support(2, 1), entry.support(2, 1, "val")
    assert support is not None
    assert val is not None
    assert support.id[0] == "2/0.jpg"  # without the folders that all pictures share
    np.testing.assert_allclose(val.embedding, support.embedding + 1, atol=2e-2)
    assert entry.images("test").id[0] == "pets/test/0.jpg"
    assert entry.text().prompts[0] == ("a ant.", "the ant.")
    assert entry.classnames == layouts.NAMES
    assert entry.manifest["ids"] == "known"


def _change(folder: Path, name: str, change: object) -> None:
    path = next(folder.rglob(name))
    content = torch.load(path, weights_only=True)
    content.update(change)
    torch.save(content, path)


def test_paths_that_lead_elsewhere_are_refused(tmp_path: Path) -> None:
    held = layouts.cross_modal(tmp_path)
    _change(held.folder, "test.pth", {"paths": ["../../etc/passwd"] * 15})
    with pytest.raises(ImportRefusedError, match="leads out of its folder"):
        look([held.folder], "pets", NARROW, Said())


def test_only_layer_0_is_taken(tmp_path: Path) -> None:
    held = layouts.cross_modal(tmp_path)
    (held.folder / "image" / "RN50_0").rename(held.folder / "image" / "RN50_1")
    with pytest.raises(ImportRefusedError, match="is of layer 1"):
        look([held.folder], "pets", NARROW, Said())


def test_views_that_the_folder_speaks_of_are_not_there(tmp_path: Path) -> None:
    held = layouts.cross_modal(tmp_path)
    none = held.folder / "image" / "RN50_0" / "pets" / "none"
    none.rename(none.with_name("view_10"))
    remarks = look([held.folder], "pets", NARROW, Said()).taken.remarks
    assert remarks == ("of the views that view_10 speaks of, these files keep the last alone.",)


def test_of_several_sets_of_prompts_none_is_guessed(tmp_path: Path) -> None:
    held = layouts.cross_modal(tmp_path)
    path = next(held.folder.rglob("hand_crafted.pth"))
    path.with_name("classname.pth").write_bytes(path.read_bytes())
    offer = look([held.folder], "pets", NARROW, Said())
    assert "name one with --text" in offer.taken.remarks[0]
    assert "text_features" not in offer.taken.arrays


def test_encoders_are_left_unread(tmp_path: Path) -> None:
    held = layouts.cross_modal(tmp_path)
    (held.folder / "encoder.pth").write_bytes(b"a pickled module")
    assert look([held.folder], "pets", NARROW, Said()).left == ("encoder.pth",)


def test_missing_parts_are_named(tmp_path: Path) -> None:
    held = layouts.cross_modal(tmp_path)
    path = next(held.folder.rglob("shot_2-seed_1.pth"))
    torch.save({"train": {"features": torch.ones(1, 2)}}, path)
    with pytest.raises(ImportRefusedError, match="holds train_features, but no train_labels"):
        look([held.folder], "pets", NARROW, Said())
