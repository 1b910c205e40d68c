"""SS-Text: a pool, or train and test by name; logarithms and prompts."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from featcache.errors import ImportRefusedError
from featcache.interchange.offer import Said, look
from tests.entries import NARROW
from tests.featcache.interchange import layouts


def test_two_files_say_which_is_which(tmp_path: Path) -> None:
    layouts.ss_text(tmp_path)
    path = tmp_path / "pets_conch.npz"
    shutil.copy(path, tmp_path / "other_conch.npz")
    with pytest.raises(ImportRefusedError, match="copies with train and test in their names"):
        look([tmp_path], "pets", NARROW, Said())
    (tmp_path / "other_conch.npz").rename(tmp_path / "pets_test_conch.npz")
    path.rename(tmp_path / "pets_train_conch.npz")
    offer = look([tmp_path], "pets", NARROW, Said())
    assert {"train_features", "test_labels", "logit_scale"} <= offer.taken.arrays.keys()


def test_prompts_go_before_prototypes(tmp_path: Path) -> None:
    held = layouts.ss_text(tmp_path)
    path = tmp_path / "pets_conch.npz"
    with np.load(path) as file:
        arrays = dict(file)
    labels = np.arange(12) % layouts.CLASSES
    arrays |= {"samples_text": layouts.cloud(labels, 0)[0], "labels_text": labels}
    np.savez(path, **arrays, odd=np.ones(1))
    offer = look([held.folder], "pets", NARROW, Said())
    assert offer.taken.arrays["text_features"].shape == (5, 3, 16)
    assert offer.left == ("odd",)


def test_pickled_arrays_are_refused(tmp_path: Path) -> None:
    layouts.ss_text(tmp_path)
    path = tmp_path / "pets_conch.npz"
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **arrays, odd=np.array([{}], dtype=object))
    with pytest.raises(ImportRefusedError, match="only a pickle could keep"):
        look([path], "pets", NARROW, Said())
