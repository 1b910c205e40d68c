"""Proto-CLIP: sorted by class, which is said."""

from __future__ import annotations

from pathlib import Path

from featcache import FeatureCache, import_features
from tests.entries import NARROW
from tests.featcache.interchange import layouts


def test_the_order_is_said(tmp_path: Path) -> None:
    held = layouts.proto_clip(tmp_path / "theirs")
    names = layouts.classes(tmp_path)
    cache = FeatureCache(tmp_path / "cache")
    entry = import_features([held.folder], "pets", NARROW, cache, classes=names, seed=1)
    assert "the support is sorted by class." in entry.manifest["remarks"]
    assert entry.supports == ((1, 1), (2, 1))
