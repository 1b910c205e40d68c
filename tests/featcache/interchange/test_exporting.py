"""What is exported is imported again as it was, without the bad rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from featcache import FeatureCache, export_features, import_features
from featcache.store.entry import Entry, reload
from featcache.store.writing import amend
from tests.entries import make_entry
from tests.featcache.store.made import made


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
@pytest.mark.parametrize("splits", [{"train": 30, "val": 15, "test": 21}, {"pool": 66}])
def test_export_and_import_are_inverse(tmp_path: Path, suffix: str, splits: dict[str, int]) -> None:
    entry = make_entry(tmp_path, splits)
    path = export_features(entry, tmp_path / f"out.{suffix}")
    back = import_features([path], "back", entry.backbone, FeatureCache(tmp_path / "second"))
    assert back.classnames == entry.classnames
    assert back.logit_scale == entry.logit_scale
    assert back.text().prompts == entry.text().prompts
    np.testing.assert_array_equal(back.text().embedding, entry.text().embedding)
    for split in splits:
        ours, theirs = entry.images(split), back.images(split)
        np.testing.assert_array_equal(ours.embedding, theirs.embedding)
        assert (ours.id, ours.label.tolist()) == (theirs.id, theirs.label.tolist())


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_an_entry_is_exported_to_the_same_bytes_each_time(tmp_path: Path, suffix: str) -> None:
    entry = made(tmp_path)
    paths = [export_features(entry, tmp_path / f"{name}.{suffix}") for name in ("one", "other")]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_bad_rows_are_not_exported(tmp_path: Path) -> None:
    entry = make_entry(tmp_path, bad={"train": [3]})
    path = export_features(entry, tmp_path / "out.npz")
    assert len(np.load(path)["train_features"]) == 29


def test_the_arrays_of_a_file(tmp_path: Path) -> None:
    entry = made(tmp_path)
    path = tmp_path / "out.npz"
    assert export_features(entry, path) == path
    with np.load(path) as file:
        held = {key: file[key] for key in file.files}
    assert list(held) == [
        *("logit_scale", "train_features", "train_labels", "test_features", "test_labels"),
        *("text_features", "classnames", "train_ids", "test_ids", "prompts"),
    ]
    good = [r for r in range(10) if r != 6]
    assert float(held["logit_scale"]) == 50
    assert held["train_features"].dtype == held["text_features"].dtype == np.float16
    assert held["train_features"].tolist() == [[r, r + 0.5] for r in good]
    assert held["train_labels"].tolist() == [r % 2 for r in good]
    assert held["train_ids"].tolist() == [f"train/ä{r}" for r in good]
    assert len(held["test_features"]) == 3
    assert held["text_features"].tolist() == [[[1, 2], [0, 0]], [[3, 4], [5, 6]]]
    assert held["prompts"].tolist() == [["seven a", ""], ["b", "c"]]
    assert held["classnames"].tolist() == ["even", "odd"]


def test_a_pool_has_names_without_a_split(tmp_path: Path) -> None:
    path = export_features(make_entry(tmp_path, {"pool": 6}), tmp_path / "out.npz")
    with np.load(path) as file:
        assert {"image_features", "labels", "ids"} <= set(file.files)


def test_only_splits_that_were_asked_for_are_exported(tmp_path: Path) -> None:
    entry = made(tmp_path)
    with amend(entry) as manifest:
        manifest["asked"] = ["test"]
    path = export_features(reload(entry), tmp_path / "out.npz")
    with np.load(path) as file:
        assert "train_features" not in file.files


def test_a_split_with_fewer_ids_than_rows_is_not_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = made(tmp_path)
    images = Entry.images
    monkeypatch.setattr(
        Entry, "images", lambda self, split: replace(images(self, split), id=("train/ä0",))
    )
    with pytest.raises(ValueError, match="longer"):
        export_features(entry, tmp_path / "out.npz")
    assert not (tmp_path / "out.npz").exists()
