"""SuS-X: one folder of many data sets and backbones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from featcache.errors import ImportRefusedError
from featcache.interchange.offer import Said, look
from tests.featcache.interchange import layouts


def test_data_set_and_backbone_choose(tmp_path: Path) -> None:
    for dataset in ("pets", "food-101"):
        for backbone in ("RN50", "ViT-B16"):
            held = layouts.sus_x(tmp_path / dataset / backbone, dataset, backbone)
    for dataset in ("food101", "Food-101"):
        for backbone in ("ViT-B/16", "ViT-B-16:openai", "ViT-B-16-quickgelu:openai"):
            offer = look([tmp_path], dataset, backbone, Said())
            assert {path.name.partition("_")[0] for path in offer.files} == {"food-101"}
            assert all("ViT-B16" in path.name for path in offer.files)
    np.testing.assert_array_equal(offer.taken.arrays["test_features"], held.splits["test"][0])
    with pytest.raises(ImportRefusedError, match=r"several datasets \(food-101, pets\)"):
        look([tmp_path], "flowers", "RN50", Said())
    with pytest.raises(ImportRefusedError, match=r"several backbones \(RN50, ViT-B16\)"):
        look([tmp_path], "pets", "ViT-B-32", Said())


def test_several_kinds_of_class_vectors_are_said(tmp_path: Path) -> None:
    held = layouts.sus_x(tmp_path)
    other = held.folder / "pets_zeroshot_text_weights_mRN50_ptcupl.pt"
    layouts.save(other, np.ones((16, 5)))
    assert f"{other.name} is taken" in look([tmp_path], "pets", "RN50", Said()).taken.remarks[-1]
