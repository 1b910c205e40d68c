"""Formats by suffix, and files that cannot be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from featcache import FeatureCache, import_features
from featcache.errors import ImportRefusedError


def test_pickles_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "features.npz"
    np.savez(path, image_features=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ImportRefusedError, match="without pickles"):
        import_features([path], "x", "RN50", FeatureCache(tmp_path))


@pytest.mark.parametrize("name", ["missing.npz", "features.pt", "broken.npz"])
def test_files_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name != "missing.npz":
        path.write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(ImportRefusedError, match=name):
        import_features([path], "x", "RN50", FeatureCache(tmp_path))
