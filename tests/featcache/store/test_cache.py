"""Which entries there are, and the one that a user means."""

from __future__ import annotations

from pathlib import Path

import pytest

from featcache import FeatureCache
from featcache.errors import CacheError, UnknownNameError
from tests.featcache.entries import make_entry


def test_the_newest_entry_is_found_and_others_by_name(tmp_path: Path) -> None:
    make_entry(tmp_path, name="animals")
    entry = make_entry(tmp_path, name="more-animals")
    cache = FeatureCache(tmp_path / "cache")
    assert cache.find().key == entry.key
    assert cache.find("Animals").dataset == "animals"
    assert cache.find("more_animals", "ViT-B/32").key == entry.key
    assert cache.find(backbone="vit-b-32,openai").key == entry.key
    assert cache.get(entry.key).key == entry.key
    with pytest.raises(UnknownNameError, match="animals"):
        cache.find("animal")
    with pytest.raises(UnknownNameError, match="ViT-B-32"):
        cache.find(backbone="ViT-B/16")
    with pytest.raises(CacheError, match="could be any"):
        cache.get("animals")


def test_an_empty_cache_says_how_to_fill_it(tmp_path: Path) -> None:
    with pytest.raises(CacheError, match="featcache encode"):
        FeatureCache(tmp_path).find()


def test_reading_needs_neither_torch_nor_open_clip(tmp_path: Path) -> None:
    import subprocess
    import sys

    script = (
        "import sys; from featcache import FeatureCache; FeatureCache(sys.argv[1]).entries();"
        "sys.exit('torch' in sys.modules or 'open_clip' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)
