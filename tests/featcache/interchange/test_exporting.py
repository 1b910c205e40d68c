"""What is exported is imported again as it was, without the bad rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from featcache import FeatureCache, export_features, import_features
from tests.featcache.entries import make_entry


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
@pytest.mark.parametrize("splits", [{"train": 30, "val": 15, "test": 21}, {"pool": 66}])
def test_export_and_import_are_inverse(tmp_path: Path, suffix: str, splits: dict[str, int]) -> None:
    entry = make_entry(tmp_path, splits)
    path = export_features(entry, tmp_path / f"out.{suffix}")
    back = import_features([path], "back", entry.backbone, FeatureCache(tmp_path / "second"))
    assert back.classnames == entry.classnames
    assert back.logit_scale == entry.logit_scale
    assert back.text().prompts == entry.text().prompts
    np.testing.assert_array_equal(back.text().embedding, entry.text().embedding)
    for split in splits:
        ours, theirs = entry.images(split), back.images(split)
        np.testing.assert_array_equal(ours.embedding, theirs.embedding)
        assert (ours.id, ours.label.tolist()) == (theirs.id, theirs.label.tolist())


def test_bad_rows_are_not_exported(tmp_path: Path) -> None:
    entry = make_entry(tmp_path, bad={"train": [3]})
    path = export_features(entry, tmp_path / "out.npz")
    assert len(np.load(path)["train_features"]) == 29
