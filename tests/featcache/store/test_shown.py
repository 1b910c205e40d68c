"""An entry in a notebook: what it holds, and what it does not hold yet."""

from __future__ import annotations

from pathlib import Path

from featcache.store.shown import told
from tests.entries import make_entry


def test_an_entry_says_what_it_holds(tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    facts = told(entry)
    assert (facts["classes"], facts["not encoded"]) == (3, None)
    assert facts["pictures"] == "train 30, val 15, test 21"
    assert repr(entry).startswith(f"Entry({entry.key}: classes 3, pictures train 30")
    assert entry._repr_html_().startswith(f"<b>{entry.key}</b><table>")


def test_what_is_not_there_yet_is_said(tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    shards = {n: r for n, r in entry.manifest["shards"].items() if r.get("split") != "val"}
    less = type(entry)(entry.folder, {**entry.manifest, "shards": shards})
    assert told(less)["not encoded"] == 15
