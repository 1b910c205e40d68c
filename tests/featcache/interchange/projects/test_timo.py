"""TIMO: raw twins, seeds from folders, several seeds at once, shuffled views."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from featcache.errors import ImportRefusedError
from featcache.interchange.offer import Said, look
from tests.entries import NARROW
from tests.featcache.interchange import layouts


def test_raw_twins_are_taken_first_if_all_have_one(tmp_path: Path) -> None:
    held = layouts.timo(tmp_path, raw=True)
    offer = look([tmp_path], "pets", NARROW, Said())
    np.testing.assert_array_equal(offer.taken.supports[0].features, held.supports[2, 3][0])
    np.testing.assert_array_equal(offer.taken.arrays["test_features"], held.splits["test"][0])
    assert "as they keep lengths" in offer.taken.remarks[0]
    (held.folder / "val_f_unnormed.pt").unlink()
    offer = look([tmp_path], "pets", NARROW, Said())
    norms = np.linalg.norm(offer.taken.supports[0].features.astype(np.float32), axis=-1)
    np.testing.assert_allclose(norms, 1, atol=2e-3)


def test_several_seeds_are_several_sets_of_one_test(tmp_path: Path) -> None:
    held = layouts.timo(tmp_path)
    other = held.folder.parents[1] / "7" / "pets"
    other.parent.mkdir()
    held.folder.rename(other)
    layouts.timo(tmp_path)
    offer = look([tmp_path], "pets", NARROW, Said())
    assert [(each.shots, each.seed) for each in offer.taken.supports] == [(2, 3), (2, 7)]
    layouts.save(other / "test_l.pt", np.zeros(15, int))
    with pytest.raises(ImportRefusedError, match="other test_labels stand in another of the files"):
        look([tmp_path], "pets", NARROW, Said())


def test_a_folder_that_is_no_number_tells_no_seed(tmp_path: Path) -> None:
    held = layouts.timo(tmp_path)
    held.folder.rename(tmp_path / "pets")
    assert "--seed" in look([tmp_path / "pets"], "pets", NARROW, Said()).unknown[1]


@pytest.mark.parametrize("labels", [True, False])
def test_shuffled_views_are_refused(tmp_path: Path, labels: bool) -> None:
    """With labels as shuffled, or with those of view 0 repeated."""
    held = layouts.timo(tmp_path)
    x, y = held.supports[2, 3]
    order = np.random.default_rng(5).permutation(len(y))
    x = np.stack([x[0], x[1][order], x[2]])
    layouts.save(held.folder / "2_vecs_f.pt", x.reshape(-1, x.shape[-1]))
    if labels:
        layouts.save(held.folder / "2_labels_f.pt", np.concatenate([y, y[order], y]))
    with pytest.raises(ImportRefusedError, match="shuffle"):
        look([held.folder], "pets", NARROW, Said())


def test_prompts_have_three_axes(tmp_path: Path) -> None:
    held = layouts.timo(tmp_path)
    layouts.save(held.folder / "text_weights_cupl_t_all.pt", np.ones((5, 16)))
    with pytest.raises(ImportRefusedError, match=r"not \[classes, prompts, d\]"):
        look([held.folder], "pets", NARROW, Said())
    (held.folder / "text_weights_cupl_t_all.pt").unlink()
    layouts.save(held.folder / "text_weights_t.pt", np.ones((16, 5)))
    assert look([held.folder], "pets", NARROW, Said()).taken.arrays["text_features"].shape == (
        5,
        16,
    )
