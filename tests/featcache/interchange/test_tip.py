"""The common tongue: what is exported as Tip-Adapter's folder is imported as that again."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from featcache import FeatureCache, import_features
from featcache.draws import draw_rows
from featcache.errors import CacheError, ConfigError, ImportRefusedError
from featcache.interchange.tip import export_tip
from tests.entries import CLASSES, NARROW, WIDTH, make_entry
from tests.featcache.interchange import layouts


def test_shapes_and_types_are_those_of_tip_adapter(tmp_path: Path) -> None:
    entry = make_entry(tmp_path, bad={"test": [2], "train": [0]})
    out = export_tip(entry, tmp_path / "out" / "tip", [1, 4], 2)
    held = {path.name: torch.load(path, weights_only=True) for path in out.glob("*.pt")}
    assert {name: (x.dtype, *x.shape) for name, x in held.items()} == {
        "keys_1shots.pt": (torch.float16, WIDTH, CLASSES),
        "values_1shots.pt": (torch.float16, CLASSES, CLASSES),
        "keys_4shots.pt": (torch.float16, WIDTH, 4 * CLASSES),
        "values_4shots.pt": (torch.float16, 4 * CLASSES, CLASSES),
        "val_f.pt": (torch.float16, 15, WIDTH),
        "val_l.pt": (torch.int64, 15),
        "test_f.pt": (torch.float16, 20, WIDTH),
        "test_l.pt": (torch.int64, 20),
        "text_weights.pt": (torch.float16, WIDTH, CLASSES),
    }
    images = entry.images("train")
    good = np.flatnonzero(images.valid)
    rows = good[draw_rows(images.label[good].tolist(), 4, random.Random(2))]
    keys = layouts.unit(images.embedding[rows])
    np.testing.assert_allclose(held["keys_4shots.pt"].T, keys, atol=1e-3)
    assert held["values_4shots.pt"].argmax(1).tolist() == images.label[rows].tolist()


def test_it_is_imported_again(tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    out = export_tip(entry, tmp_path / "tip", [2], 1)
    cache = FeatureCache(tmp_path / "again")
    names = out / "classnames.txt"
    back = import_features([out], "pets", NARROW, cache, classes=names, seed=1)
    assert back.classnames == entry.classnames
    for split in ("val", "test"):
        expected = layouts.unit(entry.images(split).embedding).astype(np.float16)
        np.testing.assert_array_equal(back.images(split).embedding, expected)
    text = entry.text().embedding
    pooled = layouts.unit(layouts.unit(text).mean(1))
    np.testing.assert_allclose(back.text().embedding[:, 0], pooled, atol=1e-3)
    twice = export_tip(back, tmp_path / "twice", [2], 1)
    for path in out.glob("[kvt][ea][ylsx]*.pt"):
        ours, theirs = (torch.load(f / path.name, weights_only=True) for f in (out, twice))
        torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=0)


def test_equal_entries_give_equal_bytes(tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    one, other = (export_tip(entry, tmp_path / name, [2], 1) for name in ("one", "other"))
    for path in one.iterdir():
        assert path.read_bytes() == (other / path.name).read_bytes()


def test_views_go_into_the_mean(tmp_path: Path) -> None:
    held = layouts.proker(tmp_path / "theirs")
    names, cache = layouts.classes(tmp_path), FeatureCache(tmp_path / "cache")
    entry = import_features([held.folder], "pets", NARROW, cache, classes=names)
    out = export_tip(entry, tmp_path / "tip", [2], 4)
    keys = layouts.unit(held.supports[2, 4][0].mean(0))
    found = torch.load(out / "keys_2shots.pt", weights_only=True)
    np.testing.assert_allclose(found.T, keys, atol=1e-3)
    with pytest.raises(ImportRefusedError, match="support sets of 2 shots with seed 4"):
        export_tip(entry, tmp_path / "other", [2], 1)


def test_what_cannot_be_exported_so(tmp_path: Path) -> None:
    with pytest.raises(ImportRefusedError, match="a pool, which this form does not know"):
        export_tip(make_entry(tmp_path, {"pool": 66}), tmp_path / "tip", [1], 1)
    entry = make_entry(tmp_path / "more")
    with pytest.raises(ConfigError, match="seed must be whole numbers of at least 0"):
        export_tip(entry, tmp_path / "tip", [1], -1)
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheError, match="cannot make the folder"):
        export_tip(entry, tmp_path / "file" / "tip", [1], 1)
