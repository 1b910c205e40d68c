"""What the tests of tables made anew share."""

from __future__ import annotations

from pathlib import Path

import pytest

from featcache.store.cache import FeatureCache
from tests.adapters.reproducing.small import small
from tests.entries import make_entry

__all__ = ["small"]


@pytest.fixture
def two(tmp_path: Path) -> FeatureCache:
    """A cache with both sets of the small table."""
    for name in ("animals", "beasts"):
        make_entry(tmp_path, name=name)
    return FeatureCache(tmp_path / "cache")
