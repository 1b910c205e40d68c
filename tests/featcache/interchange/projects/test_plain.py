"""Plain pairs under the names that people give them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from featcache import FeatureCache, import_features
from featcache.errors import ImportRefusedError
from featcache.interchange.offer import Said, look
from tests.entries import NARROW
from tests.featcache.interchange import layouts

Y = np.arange(15) % layouts.CLASSES
X = layouts.cloud(Y, 0)[0]


@pytest.mark.parametrize(
    ("features", "labels", "split"),
    [
        ("train_features.npy", "train_labels.npy", "train_"),
        ("features_train.npy", "labels_train.npy", "train_"),
        ("X_test.npy", "y_test.npy", "test_"),
        ("val-embeddings.npy", "val-targets.npy", "val_"),
        ("features.npy", "labels.npy", ""),
        ("image_features.npy", "labels.npy", ""),
    ],
)
def test_pairs_of_files(tmp_path: Path, features: str, labels: str, split: str) -> None:
    np.save(tmp_path / features, X)
    np.save(tmp_path / labels, Y)
    arrays = look([tmp_path], "pets", NARROW, Said()).taken.arrays
    key = next(key for key in arrays if key.endswith("features"))
    assert key.removeprefix("image_") == f"{split}features"
    np.testing.assert_array_equal(arrays[f"{split}labels"], Y)


@pytest.mark.parametrize("suffix", ["npz", "pt", "safetensors"])
def test_a_file_for_each_split(tmp_path: Path, suffix: str) -> None:
    for split in ("train", "test"):
        path = tmp_path / f"{split}.{suffix}"
        if suffix == "npz":
            np.savez(path, features=X, labels=Y)
        elif suffix == "pt":
            layouts.save(path, {"features": X, "labels": Y})
        else:
            save_file({"features": X, "labels": Y}, path)
    names = layouts.classes(tmp_path)
    cache = FeatureCache(tmp_path / "cache")
    entry = import_features([tmp_path], "pets", NARROW, cache, classes=names)
    assert entry.splits == {"train": 15, "test": 15}
    assert entry.complete
    assert entry.banks == ()


def test_transposed_features_and_one_hot_labels(tmp_path: Path) -> None:
    layouts.save(tmp_path / "test_features.pt", X.T)
    layouts.save(tmp_path / "test_labels.pt", layouts.one_hot(Y))
    taken = look([tmp_path], "pets", NARROW, Said()).taken
    np.testing.assert_array_equal(taken.arrays["test_features"], X)
    np.testing.assert_array_equal(taken.arrays["test_labels"], Y)
    assert taken.transposed


def test_class_vectors_lie_either_way(tmp_path: Path) -> None:
    text = layouts.unit(layouts.cloud(np.arange(layouts.CLASSES), 0)[0])
    np.savez(tmp_path / "pool.npz", features=X, labels=Y)
    layouts.save(tmp_path / "text_weights.pt", text.T)
    names = layouts.classes(tmp_path)
    cache = FeatureCache(tmp_path / "cache")
    entry = import_features([tmp_path], "pets", NARROW, cache, classes=names)
    np.testing.assert_allclose(entry.text().embedding[:, 0], text, atol=1e-3)


def test_what_is_not_understood_is_named_and_left(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", features=X, labels=Y, weird=np.ones((2, 3)), text=np.array("a"))
    offer = look([tmp_path], "pets", NARROW, Said())
    assert offer.left == ("a.npz: weird float64 [2, 3]", "a.npz: text <U1 []")


def test_the_same_array_twice_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", labels=Y)
    np.save(tmp_path / "labels.npy", Y)
    with pytest.raises(ImportRefusedError, match="'labels' stands in an earlier file too"):
        look([tmp_path], "pets", NARROW, Said())


def test_modules_are_refused_by_their_type(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "encoder.pth")
    with pytest.raises(ImportRefusedError, match=r"pickled torch\.nn\.modules\.linear\.Linear"):
        look([tmp_path], "pets", NARROW, Said())
