"""CoOp's linear probe: three files that are a data set with splits."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from featcache import FeatureCache, import_features
from featcache.interchange.offer import Said, look
from tests.entries import NARROW
from tests.featcache.interchange import layouts


def test_lengths_are_kept(tmp_path: Path) -> None:
    held = layouts.coop(tmp_path)
    names = layouts.classes(tmp_path)
    cache = FeatureCache(tmp_path / "cache")
    entry = import_features([held.folder], "pets", NARROW, cache, classes=names)
    assert not entry.manifest["normalised"]
    assert look([held.folder], "pets", NARROW, Said()).taken.arrays["train_features"].dtype == "f4"


def test_a_file_with_more_in_it_is_plain(tmp_path: Path) -> None:
    np.savez(tmp_path / "train.npz", feature_list=np.ones((2, 3)), label_list=[0, 1], prompts=["a"])
    assert look([tmp_path / "train.npz"], "pets", NARROW, Said()).project == "plain"
