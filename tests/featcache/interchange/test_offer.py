"""What is offered: files and arrays by name, and what people say goes into the entry's identity."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from featcache import FeatureCache, import_features
from featcache.errors import ImportRefusedError
from featcache.interchange.offer import Said, look
from tests.entries import NARROW, arrays
from tests.featcache.interchange import layouts


def test_what_is_said_makes_another_entry(tmp_path: Path) -> None:
    held = layouts.tip_adapter(tmp_path / "theirs")
    names, cache = layouts.classes(tmp_path), FeatureCache(tmp_path / "cache")
    other = tmp_path / "others.txt"
    other.write_text("\n".join("abcde"))
    keys = {
        import_features([held.folder], "pets", NARROW, cache, classes=file, seed=seed).key
        for file in (names, other)
        for seed in (1, 2)
    }
    assert len(keys) == 4
    again = import_features([held.folder], "pets", NARROW, cache, classes=names, seed=1)
    assert again.key in keys
    assert "names.txt" in again.manifest["files"]


def test_classes_by_hand_go_before_those_of_the_files(tmp_path: Path) -> None:
    held = layouts.cross_modal(tmp_path)
    names = tmp_path / "others.txt"
    names.write_text("\n".join("abcde"))
    offer = look([held.folder], "pets", NARROW, Said(classes=names))
    assert offer.taken.arrays["classnames"].tolist() == [*"abcde"]


def test_text_by_hand_goes_before_that_of_the_files(tmp_path: Path) -> None:
    given = arrays({"pool": 6})
    np.savez(tmp_path / "a.npz", **given)
    np.save(tmp_path / "t.npy", given["text_features"][:, 0].T)
    cache = FeatureCache(tmp_path / "cache")
    entry = import_features([tmp_path / "a.npz"], "x", NARROW, cache, text=tmp_path / "t.npy")
    np.testing.assert_array_equal(entry.text().embedding, given["text_features"][:, :1])
    assert set(entry.manifest["files"]) == {"a.npz", "t.npy"}


def test_an_entry_without_text_says_so(tmp_path: Path) -> None:
    given = arrays({"pool": 6})
    del given["text_features"], given["prompts"]
    np.savez(tmp_path / "a.npz", **given)
    entry = import_features([tmp_path / "a.npz"], "x", NARROW, FeatureCache(tmp_path / "cache"))
    assert entry.banks == ()
    assert entry.complete
    assert entry.problems() == []
    with pytest.raises(Exception, match="import it again with --text FILE"):
        entry.text()


def test_what_is_unknown_is_asked_for_at_once(tmp_path: Path) -> None:
    held = layouts.tip_adapter(tmp_path)
    with pytest.raises(ImportRefusedError) as error:
        look([held.folder], "pets", NARROW, Said()).checked()
    assert str(error.value) == (
        "these are feature files of the format tip-adapter, which do not say what the classes are "
        "called (give --classes FILE, one a line by label), nor with which seed the support was "
        "drawn (give --seed)."
    )
