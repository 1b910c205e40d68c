"""The cache as readers see it: what is listed, found, verified, and refused."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
from featcache.cache import Entry, amend, put_text, reload

from featcache import FeatureCache
from featcache.errors import CacheError, DamagedShardError, FeatcacheError, UnknownNameError
from tests.adapters.entries import arrays, make_entry


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


def test_reading_needs_neither_torch_nor_open_clip(tmp_path: Path) -> None:
    import subprocess
    import sys

    script = (
        "import sys; from featcache import FeatureCache; FeatureCache(sys.argv[1]).entries();"
        "sys.exit('torch' in sys.modules or 'open_clip' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)


def test_every_refusal_is_one_of_ours() -> None:
    assert issubclass(CacheError, FeatcacheError)
    assert issubclass(UnknownNameError, FeatcacheError)
