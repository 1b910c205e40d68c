"""What exists: one writer at a time, and a damaged manifest is one sentence."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pytest

from featcache import Entry, FeatureCache
from featcache.errors import CacheError, DamagedShardError
from featcache.store.writing import amend
from tests.featcache.entries import make_entry


@pytest.mark.parametrize("content", ["", "{", '{"format": 99}'])
def test_a_damaged_manifest_is_one_sentence(tmp_path: Path, content: str) -> None:
    entry = make_entry(tmp_path)
    (entry.folder / "manifest.json").write_text(content)
    with pytest.raises((DamagedShardError, CacheError), match=r"manifest\.json"):
        FeatureCache(tmp_path / "cache").entries()


def _list_twenty(entry: Entry, first: int) -> None:
    for i in range(first, first + 20):
        with amend(entry) as manifest:
            manifest["shards"][f"x-{i}"] = {"kind": "none", "bytes": 0}


def test_writers_at_the_same_time_lose_no_line(tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_list_twenty, args=(entry, i * 20)) for i in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    listed = json.loads((entry.folder / "manifest.json").read_text())["shards"]
    assert sum(name.startswith("x-") for name in listed) == 60
