"""The text tower comes into the cache once a backbone, held against the entry's own texts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from featcache import FeatureCache, encode_dataset
from featcache.backbones.backbone import Backbone
from featcache.encoding.tower import keep
from featcache.errors import BackboneError, CacheError
from featcache.store import towers
from featcache.store.entry import Entry, reload
from featcache.store.writing import put_text
from tests.featcache.encoding.folder import folder, read


@pytest.fixture(scope="module")
def entry(tiny: Backbone, tmp_path_factory: pytest.TempPathFactory) -> Entry:
    root = tmp_path_factory.mktemp("kept")
    data = read(folder(root / "mine"))
    report = encode_dataset(data, tiny, FeatureCache(root / "cache"), extras=["text-tower"])
    assert "is kept" in report.notes[0]
    return reload(report.entry)


def test_the_tower_is_kept_for_all_entries_of_the_backbone(entry: Entry, tiny: Backbone) -> None:
    held = entry.text_tower()
    assert held is not None
    assert held.fingerprint == tiny.fingerprint
    assert held.problems() == entry.problems() == []
    assert "was there" in keep(entry, tiny)
    assert towers.find(entry.root, "another") is None


def test_a_damaged_tower_is_told_and_written_anew(entry: Entry, tiny: Backbone) -> None:
    held = entry.text_tower()
    assert held is not None
    (held.folder / towers.WEIGHTS).write_bytes(b"")
    assert any("damaged" in problem for problem in entry.problems())
    assert "is kept" in keep(entry, tiny)
    assert entry.problems() == []


def test_texts_of_other_weights_are_refused(entry: Entry, tiny: Backbone) -> None:
    text = entry.text()
    prompts = [list(mine) for mine in text.prompts]
    other = replace(entry, folder=entry.folder.with_name("other"))
    put_text(other, "mine", text.embedding[text.mask][::-1] + 1, prompts)
    with pytest.raises(CacheError, match=r"not what local-dir:.* makes of its prompts"):
        keep(reload(other), tiny)


def test_a_tower_that_cannot_be_served_is_refused_before_anything_is_encoded(
    tiny: Backbone, tmp_path: Path
) -> None:
    cache = FeatureCache(tmp_path / "cache")
    other = replace(tiny, tokenizer=lambda texts, context_length=16: tiny.tokenizer(texts))
    with pytest.raises(BackboneError, match="tokenizer"):
        encode_dataset(read(folder(tmp_path / "mine")), other, cache, extras=["text-tower"])
    assert cache.entries() == []


def test_an_imported_entry_says_whose_texts_its_are(entry: Entry, tiny: Backbone) -> None:
    about = {**entry.manifest["backbone"], "fingerprint": "unknown"}
    imported = Entry(entry.folder, {**entry.manifest, "backbone": about})
    assert imported.text_tower() is None
    keep(imported, tiny)
    listed = reload(entry).manifest
    assert listed["text_tower"] == tiny.fingerprint
    assert Entry(entry.folder, {**listed, "backbone": about}).text_tower() is not None
