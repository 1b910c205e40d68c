"""Safetensors: numbers as tensors, text as metadata, there and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from featcache.interchange.formats import safetensors


def test_there_and_back(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    arrays = {"x": np.arange(6, dtype=np.float16).reshape(2, 3), "scale": np.array(50.0)}
    safetensors.save(path, arrays, {"classnames": ["ä", "b"], "prompts": [["a", ""], ["b", "c"]]})
    back = safetensors.load(path)
    assert set(back) == {"x", "scale", "classnames", "prompts"}
    assert back["x"].dtype == np.float16
    assert back["x"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert float(back["scale"]) == 50
    assert back["classnames"].tolist() == ["ä", "b"]
    assert back["prompts"].tolist() == [["a", ""], ["b", "c"]]
    with safe_open(path, "numpy") as file:
        assert set(file.keys()) == {"x", "scale"}
        assert file.metadata()["prompts"] == '[["a", ""], ["b", "c"]]'


def test_a_file_without_text_is_read(tmp_path: Path) -> None:
    save_file({"x": np.arange(3)}, tmp_path / "a.safetensors")
    assert safetensors.load(tmp_path / "a.safetensors")["x"].tolist() == [0, 1, 2]


def test_its_suffix() -> None:
    assert safetensors.SUFFIXES == (".safetensors",)
