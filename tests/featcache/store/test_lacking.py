"""What an entry lacks is told by its manifest alone."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

from featcache.store.lacking import told
from tests.entries import make_entry


def test_a_whole_entry_lacks_nothing_and_each_shard_taken_away_is_told(tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    assert list(told(entry.manifest)) == []
    for name, record in entry.manifest["shards"].items():
        if record["kind"] not in ("images", "text"):
            continue
        manifest = deepcopy(dict(entry.manifest))
        del manifest["shards"][name]
        (sentence,) = told(manifest)
        assert "again" in sentence
        assert (record.get("split") or record.get("bank") or "prompts") in sentence
