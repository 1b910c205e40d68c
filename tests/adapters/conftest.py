"""What several tests of adapters share."""

from __future__ import annotations

import pytest

from featcache.store.entry import Entry
from tests.enriched import enriched
from tests.entries import make_entry


@pytest.fixture(scope="session")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Entry:
    """An entry that holds all there can be; row 0 of training could not be read."""
    return enriched(make_entry(tmp_path_factory.mktemp("rich"), bad={"train": [0], "test": [2]}))
