"""Pickles that run nothing."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featcache.datasets.layouts import _inert
from tests.featcache.datasets.kinds.trees import of_python2, of_python3

HELD = {
    "data": np.arange(12, dtype=np.uint8).reshape(2, 6),
    "labels": [3, 1],
    "filenames": ["a.png", "b.png"],
    "batch_label": "one of two",
    "num_vis": 3072,
}


@pytest.mark.parametrize("pickled", [of_python2, of_python3])
def test_what_was_pickled_comes_back(tmp_path: Path, pickled: Any) -> None:
    (tmp_path / "x").write_bytes(pickled(HELD))
    found = _inert.read(tmp_path / "x")
    assert found.keys() == HELD.keys()
    assert (found.pop("data") == HELD["data"]).all()
    assert found == {key: value for key, value in HELD.items() if key != "data"}


def test_the_hand_made_pickle_is_one_that_python_takes() -> None:
    """So that what stands for the published files is no invention of this test."""
    found = pickle.loads(of_python2(HELD), encoding="bytes")
    assert (found[b"data"] == HELD["data"]).all()
    assert found[b"labels"] == HELD["labels"]


class Runs:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def test_nothing_is_run(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    for call in (Runs(Path.touch, trace), Runs(eval, f"open({str(trace)!r}, 'w')")):
        (tmp_path / "x").write_bytes(pickle.dumps({b"data": call}))
        with pytest.raises(ValueError, match="which is not run"):
            _inert.read(tmp_path / "x")
    assert not trace.exists()


@pytest.mark.parametrize(
    "held",
    [
        pickle.dumps([1]),
        pickle.dumps({b"data": np.zeros((2, 2))}, protocol=4),
        pickle.dumps({b"data": np.array([{}], object)}, protocol=4),
        of_python2(HELD)[:-30],
        of_python2(HELD).replace(b"(K\x02K\x06t", b"(K\x02K\x07t"),
        b"",
        b"no pickle",
    ],
)
def test_others_are_refused(tmp_path: Path, held: bytes) -> None:
    (tmp_path / "x").write_bytes(held)
    with pytest.raises(ValueError, match=r"."):
        _inert.read(tmp_path / "x")


def test_large_files_are_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_inert, "LARGEST", 10)
    (tmp_path / "x").write_bytes(of_python2(HELD))
    with pytest.raises(ValueError, match="more than 10 bytes"):
        _inert.read(tmp_path / "x")
