"""Feature files in: real CLIP features, and what is refused leaves nothing behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featcache import FeatureCache, import_features
from featcache.errors import ImportRefusedError
from tests.featcache.entries import arrays


@pytest.mark.parametrize(("name", "rows"), [("RN50", 71.5), ("ViT-B-32", 81.3), ("ViT-L-14", 85.5)])
def test_zero_shot_on_real_features_is_as_stated(
    shared_data: Path, tmp_path: Path, name: str, rows: float
) -> None:
    path = shared_data / "whurs19" / f"CLIP_{name}.npz"
    entry = import_features([path], "whurs19", name, FeatureCache(tmp_path))
    assert entry.manifest["backbone"]["fingerprint"] == "unknown"
    assert entry.manifest["normalised"]
    images, text = entry.images("pool"), entry.text()
    assert text.embedding.shape[:2] == (19, 106)
    unit = text.embedding / np.linalg.norm(text.embedding, axis=-1, keepdims=True)
    scores = images.embedding @ _unit(unit.mean(1)).T
    assert round(100 * (scores.argmax(1) == images.label).mean(), 1) == rows


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def _put(key: str, value: Any) -> Any:
    return lambda given: given.update({key: value})


def _nan(given: dict[str, np.ndarray]) -> None:
    given["train_features"][4, 2] = np.nan


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_nan, "first is row 4"),
        (_put("train_features", np.full((30, 8), 1e9, np.float32)), "not finite"),
        (_put("val_features", np.ones((15, 7), np.float16)), "7 wide"),
        (_put("val_labels", np.arange(15) % 4), "0 to 3"),
        (_put("val_labels", np.arange(14) % 3), "15 whole numbers"),
        (_put("train_labels", np.zeros(30, int)), "class 'dog' has no row"),
        (_put("train_labels", np.zeros(30) + 0.5), "whole numbers"),
        (_put("train_features", np.ones(30)), r"\[n, d\]"),
        (_put("text_features", np.ones((5, 2, 8), np.float16)), "3 classes"),
        (_put("text_features", np.ones((3, 2, 8)) * np.nan), "text_features holds"),
        (_put("prompts", np.array(["a", "b", "c"])), "prompts"),
        (lambda given: given.pop("classnames"), "no classnames"),
        (lambda given: given.pop("text_features"), "no text_features"),
        (lambda given: given.pop("test_labels"), "no test_labels"),
        (lambda given: [given.pop(k) for k in list(given) if "features" in k], "no image features"),
    ],
)
def test_refusals(tmp_path: Path, change: Any, words: str) -> None:
    given = arrays()
    change(given)
    path = tmp_path / "features.npz"
    np.savez(path, **given)
    with pytest.raises(ImportRefusedError, match=words):
        import_features([path], "x", "RN50", FeatureCache(tmp_path / "cache"))
    assert not (tmp_path / "cache").exists()
