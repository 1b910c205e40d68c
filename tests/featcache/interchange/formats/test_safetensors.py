"""Safetensors: numbers as tensors, text as metadata, there and back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
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
        assert list(file.metadata()) == ["featcache"]
        assert json.loads(file.metadata()["featcache"]) == {
            "classnames": ["ä", "b"],
            "prompts": [["a", ""], ["b", "c"]],
        }


def test_a_file_without_text_is_read(tmp_path: Path) -> None:
    save_file({"x": np.arange(3)}, tmp_path / "a.safetensors")
    assert safetensors.load(tmp_path / "a.safetensors")["x"].tolist() == [0, 1, 2]


def test_files_of_earlier_versions_are_read(tmp_path: Path) -> None:
    """They have an entry of metadata for each list."""
    path = tmp_path / "a.safetensors"
    named = {"classnames": ["ä", "b"], "prompts": [["a", ""], ["b", "c"]]}
    save_file({"x": np.arange(3)}, path, {key: json.dumps(value) for key, value in named.items()})
    back = safetensors.load(path)
    assert {key: back[key].tolist() for key in back} == {"x": [0, 1, 2], **named}


def test_what_other_libraries_say_of_a_file_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"x": np.arange(3)}, path, {"format": "pt", "note": '{"a": 1}'})
    assert list(safetensors.load(path)) == ["x"]


def test_the_same_content_is_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    """Text and sets are hashed anew in each, and the library orders metadata at random."""
    script = (
        "import sys, pathlib, numpy as np\n"
        "from featcache.interchange.formats.safetensors import save\n"
        "named = {key: [key, 'ä'] for key in 'abcdefgh'}\n"
        "arrays = {key: np.arange(3.0) for key in 'zyxwvu'}\n"
        "save(pathlib.Path(sys.argv[1]), arrays, named)\n"
    )
    contents = set()
    for seed in ("1", "2"):
        path = tmp_path / f"{seed}.safetensors"
        environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[4])}
        subprocess.run([sys.executable, "-c", script, str(path)], check=True, env=environment)
        contents.add(path.read_bytes())
    assert len(contents) == 1


def test_its_suffix() -> None:
    assert safetensors.SUFFIXES == (".safetensors",)


def test_large_arrays_stay_in_their_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, rng = tmp_path / "a.safetensors", np.random.default_rng(0)
    arrays = {kind: rng.normal(size=(7, 3)).astype(kind) for kind in ("f2", "f4", "f8", "i8")}
    safetensors.save(path, arrays, {"classnames": ["ä"]})
    monkeypatch.setattr(safetensors, "LARGE", 1)
    found = safetensors.load(path)
    assert found.pop("classnames").tolist() == ["ä"]
    assert {key for key, x in found.items() if isinstance(x, np.memmap)} == {"f2", "f4", "f8"}
    for key, x in found.items():
        np.testing.assert_array_equal(x, arrays[key], strict=True)
