"""Every layout by one command: recognised, and its features equal to what lay in the files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featcache import FeatureCache
from featcache.errors import FeatcacheError
from featcache.interchange.offer import Said, look
from featcache.interchange.recognition import names
from tests.entries import NARROW
from tests.featcache.interchange import layouts
from tests.typed import Type


def test_every_project_has_a_layout_here() -> None:
    assert {*layouts.ALL, "prolip", "plain"} == set(names())


@pytest.mark.parametrize("project", layouts.ALL)
def test_one_command_imports_it(project: str, tmp_path: Path, type_in: Type) -> None:
    make, seed = layouts.ALL[project]
    held = make(tmp_path / "theirs")
    line = f"featcache import {held.folder} --dataset pets --backbone {NARROW} --json"
    line += f" --cache {tmp_path / 'cache'} --classes {layouts.classes(tmp_path)}"
    answer = type_in(line + (f" --seed {seed}" if seed else ""))
    assert answer.status == 0, answer.err
    assert answer.json["project"] == project
    entry = FeatureCache(tmp_path / "cache").get("pets")
    assert entry.complete
    assert entry.problems() == []
    assert list(entry.splits) == list(held.splits)
    for split, (x, labels) in held.splits.items():
        images = entry.images(split)
        _same(images.embedding, x)
        assert images.label.tolist() == labels.tolist()
    assert entry.supports == tuple(sorted((k, s or seed) for k, s in held.supports))
    for (shots, drawn), (x, labels) in held.supports.items():
        support = entry.support(shots, drawn or seed or 0)
        assert support is not None
        _same(support.embedding, x)
        assert support.label.tolist() == labels.tolist()
    if held.text is None:
        assert entry.banks == ()
    else:
        _same(entry.text().embedding, held.text)


def _same(found: np.ndarray, held: np.ndarray) -> None:
    """Equal to what is kept of it: half precision, where that loses next to nothing."""
    np.testing.assert_array_equal(found, held.astype(np.float16).astype(np.float32))


@pytest.mark.parametrize("project", layouts.ALL)
def test_what_would_be_taken_is_said_and_not_taken(
    project: str, tmp_path: Path, type_in: Type
) -> None:
    make, seed = layouts.ALL[project]
    held = make(tmp_path / "theirs")
    line = f"featcache import {held.folder} --dataset pets --backbone {NARROW} --dry-run"
    said = type_in(f"{line} --cache {tmp_path / 'cache'} --json").json
    assert said["format"] == project
    assert len(said["supports"]) >= len(held.supports)
    assert any("--seed" in each for each in said["unknown"]) is (seed is not None)
    assert any("--classes" in each for each in said["unknown"]) is (project != "cross-modal")
    assert f"format: {project}" in type_in(line).out
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("project", layouts.ALL)
def test_nothing_is_guessed(project: str, tmp_path: Path, type_in: Type) -> None:
    make, seed = layouts.ALL[project]
    held = make(tmp_path / "theirs")
    line = f"featcache import {held.folder} --dataset pets --backbone {NARROW}"
    answer = type_in(line)
    assert (answer.status != 0) is (project != "cross-modal")
    assert ("--seed" in answer.err) is (seed is not None)


ODD: dict[str, Any] = {
    "nothing": np.zeros((0, 0), np.float32),
    "no numbers": np.zeros((0, 16), np.float32),
    "one": np.array(3.0, np.float32),
    "whole": np.arange(160).reshape(10, 16),
    "negative": -np.arange(15),
    "nan": np.full((10, 16), np.nan, np.float32),
    "far": np.array([0, 2**60]),
    "words": ["a", "b"],
    "wordy": [["a", "b"], ["c", "d"]],
    "deep": np.ones((2, 2, 2, 2), np.float32),
    "dict": {"vecs": [["a", "b"]], "labels": np.zeros((0, 0)), "features": ["a"]},
}


@pytest.mark.parametrize("project", layouts.ALL)
def test_whatever_lies_in_a_file_there_is_a_sentence(project: str, tmp_path: Path) -> None:
    """Each file in turn holds something else: it is refused in words, or not needed."""
    make, _ = layouts.ALL[project]
    held = make(tmp_path / "theirs")
    said = Said(classes=layouts.classes(tmp_path), seed=1)
    refused = 0
    for path in sorted(
        each for each in held.folder.rglob("*") if each.suffix[:3] in (".pt", ".np")
    ):
        before = path.read_bytes()
        for content in ODD.values():
            if path.suffix == ".npz":
                with np.load(path) as file:
                    np.savez(path, **dict.fromkeys(file.files, np.asarray(content)[()]))
            else:
                layouts.save(path, content)
            try:
                look([held.folder], "pets", NARROW, said).checked()
            except FeatcacheError:
                refused += 1
            path.write_bytes(before)
    assert refused >= len(ODD)
