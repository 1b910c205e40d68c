"""NumPy's zip of arrays: there and back, and never a pickle."""

from __future__ import annotations

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
