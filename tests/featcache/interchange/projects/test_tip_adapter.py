"""Tip-Adapter's caches: transposed keys, one-hot widths, ImageNet's val, several class vectors."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from featcache import FeatureCache, import_features
from featcache.errors import ImportRefusedError
from featcache.interchange.offer import Said, look
from tests.entries import NARROW
from tests.featcache.interchange import layouts


def _take(tmp_path: Path, folder: Path, dataset: str = "pets") -> object:
    names = layouts.classes(tmp_path)
    cache = FeatureCache(tmp_path / "cache")
    return import_features([folder], dataset, NARROW, cache, classes=names, seed=1)


def test_what_is_known_of_it_is_said(tmp_path: Path) -> None:
    held = layouts.tip_adapter(tmp_path / "theirs")
    entry = _take(tmp_path, held.folder)
    manifest = entry.manifest  # type: ignore[attr-defined]
    assert (manifest["normalised"], manifest["views"], manifest["ids"]) == (True, "mean", "none")
    assert manifest["transposed"]
    assert "mean of augmented views" in manifest["remarks"][0]
    assert manifest["dataset"]["supports"] == {"k1-s1": 5, "k2-s1": 10}


def test_as_many_pictures_as_numbers_are_told_by_their_lengths(tmp_path: Path) -> None:
    """Five classes of two shots, ten wide."""
    y = layouts.drawn()
    x = layouts.unit(layouts.cloud(y, 0, width=10)[0]).astype(np.float16)
    for name, array in (("keys", x.T), ("values", layouts.one_hot(y))):
        layouts.save(tmp_path / "a" / f"{name}_2shots.pt", array)
    offer = look([tmp_path / "a"], "pets", NARROW, Said())
    assert offer.project == "tip-adapter"
    np.testing.assert_array_equal(offer.taken.supports[0].features[0], x)


@pytest.mark.parametrize("count", [4, 6])
def test_a_class_list_of_another_length_is_refused(tmp_path: Path, count: int) -> None:
    held = layouts.tip_adapter(tmp_path / "theirs")
    (held.folder / "text_weights_cupl_t.pt").unlink()
    for split in ("val", "test"):
        (held.folder / f"{split}_f.pt").unlink()
    names = tmp_path / "names.txt"
    names.write_text("\n".join(f"class {i}" for i in range(count)))
    with pytest.raises(ImportRefusedError, match=f"tell of 5 classes, but {count} are named"):
        import_features(
            [held.folder], "pets", NARROW, FeatureCache(tmp_path), classes=names, seed=1
        )


def test_of_imagenet_val_is_test(tmp_path: Path) -> None:
    held = layouts.tip_adapter(tmp_path / "theirs")
    (held.folder / "test_f.pt").unlink()
    entry = _take(tmp_path, held.folder, "imagenet")
    assert list(entry.splits) == ["test"]  # type: ignore[attr-defined]
    assert list(_take(tmp_path, held.folder).splits) == ["val"]  # type: ignore[attr-defined]


def test_of_several_class_vectors_none_is_guessed(tmp_path: Path) -> None:
    held = layouts.tip_adapter(tmp_path / "theirs")
    first = held.folder / "text_weights_cupl_t.pt"
    shutil.copy(first, held.folder / "text_weights_template.pt")
    entry = _take(tmp_path, held.folder)
    assert entry.banks == ()  # type: ignore[attr-defined]
    named = import_features(
        [held.folder],
        "pets",
        NARROW,
        FeatureCache(tmp_path / "cache"),
        classes=layouts.classes(tmp_path),
        seed=1,
        text=first,
    )
    np.testing.assert_array_equal(named.text().embedding, held.text)


def test_two_caches_at_once_are_refused(tmp_path: Path) -> None:
    for name in ("one", "other"):
        layouts.tip_adapter(tmp_path / "theirs" / name)
    with pytest.raises(ImportRefusedError, match="several files hold the support of 1 shots"):
        look([tmp_path / "theirs"], "pets", NARROW, Said())


def test_modules_beside_it_are_left_unread(tmp_path: Path) -> None:
    held = layouts.tip_adapter(tmp_path / "theirs")
    (held.folder / "APE-T_16shots.pt").write_bytes(b"a pickled module")
    assert look([held.folder], "pets", NARROW, Said()).left == ("APE-T_16shots.pt",)
