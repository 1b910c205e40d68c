"""An entry as its readers see it: features, rows, what is missing and what is damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from featcache.errors import CacheError
from featcache.store.entry import reload
from featcache.store.writing import amend, put_text
from tests.featcache.entries import arrays, make_entry


def test_features_come_back_as_they_went_in(tmp_path: Path) -> None:
    entry, given = make_entry(tmp_path), arrays()
    images = entry.images("train")
    np.testing.assert_array_equal(images.embedding, given["train_features"].astype(np.float32))
    assert images.label.tolist() == given["train_labels"].tolist()
    text = entry.text()
    assert text.prompts[1] == ("a photo of a dog.", "a sketch of a dog.")
    np.testing.assert_array_equal(text.embedding, given["text_features"].astype(np.float32))
    assert text.mask.all()


def test_ragged_banks_are_masked(tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    x = np.arange(4 * 8, dtype=np.float32).reshape(4, 8)
    put_text(entry, "ragged", x, [["a"], ["b", "c"], ["d"]])
    text = reload(entry).text("ragged")
    assert text.mask.tolist() == [[True, False], [True, True], [True, False]]
    np.testing.assert_array_equal(text.embedding[text.mask], x)


def test_rubbish_from_a_crash_is_not_seen(tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    before = entry.images("test").embedding
    (entry.folder / "images-test-00001.h5").write_bytes(b"half a shard")
    (entry.folder / ".images-test-00002.h5.77.tmp").write_bytes(b"less")
    assert entry.problems() == []
    np.testing.assert_array_equal(reload(entry).images("test").embedding, before)


def test_an_incomplete_entry_says_what_is_missing(tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    with amend(entry) as manifest:
        del manifest["shards"]["images-test-00000.h5"]
    entry = reload(entry)
    assert not entry.complete
    with pytest.raises(CacheError, match="0 of 21 rows"):
        entry.images("test")
    assert any("0 of 21" in problem for problem in entry.problems())


@pytest.mark.parametrize("harm", ["delete", "cut", "flip", "swap"])
def test_verify_finds_every_harm(tmp_path: Path, harm: str) -> None:
    entry = make_entry(tmp_path)
    path = entry.folder / "images-train-00000.h5"
    content = bytearray(path.read_bytes())
    if harm == "delete":
        path.unlink()
    elif harm == "cut":
        path.write_bytes(content[:-9])
    elif harm == "flip":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    else:
        path.write_bytes((entry.folder / "images-test-00000.h5").read_bytes())
    assert len(entry.problems()) == 1
    if harm in ("delete", "cut", "swap"):
        with pytest.raises(CacheError):
            entry.images("train")
