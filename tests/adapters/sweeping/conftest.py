"""What tests of sweeps share: a cache to fit on, a store for the rows, and grids of quick runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.results import Results
from featcache.store.cache import FeatureCache
from tests.entries import make_entry


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> FeatureCache:
    """One data set, which nobody changes."""
    folder = tmp_path_factory.mktemp("sweeping")
    make_entry(folder)
    return FeatureCache(folder / "cache")


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path / "results.sqlite")
