"""ProLIP: the backbone's own projection makes embeddings, and shuffled views are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from featcache import FeatureCache, import_features, load_backbone
from featcache.backbones.image_tower import projection
from featcache.errors import ImportRefusedError
from featcache.interchange.offer import Said, look
from tests.featcache.interchange import layouts


def test_one_command_gives_embeddings_and_what_was_before(tmp_path: Path) -> None:
    weight, bias = (each.float().numpy() for each in projection(load_backbone("demo").model))
    held = layouts.prolip(tmp_path / "theirs", len(weight))
    names = layouts.classes(tmp_path)
    cache = FeatureCache(tmp_path / "cache")
    entry = import_features([held.folder], "pets", "demo", cache, classes=names)
    x, labels = held.supports[4, 1]
    support = entry.support(4, 1)
    assert support is not None
    assert support.pre is not None
    np.testing.assert_array_equal(support.pre, x.astype(np.float16))
    np.testing.assert_allclose(support.embedding, x @ weight + bias, rtol=2e-3, atol=2e-2)
    assert support.label.tolist() == labels.tolist()
    kept = entry.projection()
    assert kept is not None
    np.testing.assert_array_equal(kept.weight, weight)
    assert entry.manifest["views"] == "stacked"
    assert (entry.splits, entry.supports, entry.complete) == ({}, ((4, 1),), True)
    assert entry.problems() == []


def test_another_width_is_another_backbone(tmp_path: Path) -> None:
    held = layouts.prolip(tmp_path / "theirs", layouts.WIDTH)
    names = layouts.classes(tmp_path)
    with pytest.raises(ImportRefusedError, match="is 16 wide before the projection"):
        import_features([held.folder], "pets", "demo", FeatureCache(tmp_path), classes=names)


def test_shuffled_views_are_refused(tmp_path: Path) -> None:
    layouts.prolip(tmp_path, shuffled=True)
    with pytest.raises(ImportRefusedError, match="view 2 is in another order than view 0"):
        look([tmp_path], "pets", "demo", Said())


def test_views_must_run_from_0_and_fit_the_labels(tmp_path: Path) -> None:
    held = layouts.prolip(tmp_path)
    place = held.folder / "4_shot" / "seed1"
    layouts.save(place / "f1.pth", np.ones((3, 16)))
    with pytest.raises(ImportRefusedError, match="20 labels do not fit each other"):
        look([tmp_path], "pets", "demo", Said())
    (place / "f0.pth").unlink()
    with pytest.raises(ImportRefusedError, match="holds views 1, 2; they must run from 0"):
        look([tmp_path], "pets", "demo", Said())
