"""NumPy's zip of arrays: there and back, and never a pickle."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from featcache.errors import ImportRefusedError
from featcache.interchange.formats import npz


def test_there_and_back(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    arrays = {"x": np.arange(6, dtype=np.float16).reshape(2, 3), "scale": np.array(50.0)}
    npz.save(path, arrays, {"classnames": ["ä", "b"], "prompts": [["a", ""], ["b", "c"]]})
    back = npz.load(path)
    assert list(back) == ["x", "scale", "classnames", "prompts"]
    assert back["x"].dtype == np.float16
    assert back["x"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert float(back["scale"]) == 50
    assert back["classnames"].tolist() == ["ä", "b"]
    assert back["prompts"].tolist() == [["a", ""], ["b", "c"]]


def test_its_suffix() -> None:
    assert npz.SUFFIXES == (".npz",)


def test_a_pickle_is_neither_read_nor_written(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    pickled = np.array([{"a": 1}], dtype=object)
    with pytest.raises(ValueError, match=r"pickle|Object arrays"):
        npz.save(path, {"x": pickled}, {})
    np.savez(path, x=pickled)
    with pytest.raises(ImportRefusedError, match="pickle"):
        npz.load(path)


def test_large_arrays_stay_in_their_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.npz"
    rng = np.random.default_rng(0)
    arrays = {
        "x": rng.normal(size=(20, 3)).astype(np.float16),
        "turned": np.asfortranarray(rng.normal(size=(4, 5))),
        "scale": np.array(50.0),
    }
    npz.save(path, arrays, {"classnames": ["ä", "b"]})
    before = npz.load(path)
    monkeypatch.setattr(npz, "LARGE", 1)
    found = npz.load(path)
    assert list(found) == list(before)
    for key, array in found.items():
        assert isinstance(array, np.memmap)
        assert (array.dtype, array.shape) == (before[key].dtype, before[key].shape)
        assert array.tolist() == before[key].tolist()
    np.savez_compressed(path, **arrays)
    assert not any(isinstance(array, np.memmap) for array in npz.load(path).values())


def test_damage_of_a_large_array_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.npz"
    npz.save(path, {"x": np.arange(9.0)}, {})
    content = path.read_bytes()
    at = content.index(np.arange(9.0).tobytes())
    path.write_bytes(content[:at] + b"\1" + content[at + 1 :])
    monkeypatch.setattr(npz, "LARGE", 1)
    with pytest.raises(zipfile.BadZipFile):
        npz.load(path)
