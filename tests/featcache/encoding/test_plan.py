"""What is still to be written, and whether the disk has room for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from featcache import FeatureCache, encode_dataset
from featcache.backbones.backbone import Backbone
from featcache.encoding import plan
from featcache.errors import CacheError
from tests.featcache.encoding.noise import noise


def test_a_full_disk_is_noticed_before_work_starts(
    tmp_path: Path, tiny: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("usage", (), {"free": 100})
    monkeypatch.setattr(plan.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(CacheError, match="MB free"):
        encode_dataset(noise(), tiny, FeatureCache(tmp_path))
