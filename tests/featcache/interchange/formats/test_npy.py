"""One array in a file of its own, and never a pickle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from featcache.errors import ImportRefusedError
from featcache.interchange.files import load, save
from featcache.interchange.formats import npy
from featcache.interchange.naming import BARE


@pytest.mark.parametrize("x", [np.arange(6.0).reshape(2, 3), np.array(["a", "bc"]), np.zeros(0)])
def test_what_is_written_is_read(tmp_path: Path, x: np.ndarray) -> None:
    path = tmp_path / "x.npy"
    save(path, {BARE: x}, {})
    np.testing.assert_array_equal(load(path)[BARE], x)
    np.testing.assert_array_equal(np.load(path), x)


def test_several_arrays_have_no_place(tmp_path: Path) -> None:
    for arrays, named in (
        ({"a": np.zeros(1), "b": np.zeros(1)}, {}),
        ({"a": np.ones(1)}, {"c": []}),
    ):
        with pytest.raises(ImportRefusedError, match=r"such as one in \.npz"):
            save(tmp_path / "x.npy", arrays, named)
    assert list(tmp_path.iterdir()) == []


def test_pickles_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ImportRefusedError, match="only a pickle could keep"):
        load(path)


def test_a_large_array_stays_in_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npy, "LARGE", 1)
    for x in (np.arange(6.0).reshape(2, 3), np.asfortranarray(np.eye(2, 3, dtype=np.float16))):
        np.save(tmp_path / "x.npy", x)
        found = load(tmp_path / "x.npy")[BARE]
        assert isinstance(found, np.memmap)
        np.testing.assert_array_equal(found, x, strict=True)
