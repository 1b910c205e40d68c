"""Units of a few rows, so that small data sets have several."""

from __future__ import annotations

import pytest

from featcache.encoding import plan


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "SHARD_ROWS", 32)
