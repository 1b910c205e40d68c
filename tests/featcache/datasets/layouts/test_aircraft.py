"""FGVC-Aircraft's own lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from featcache.datasets.registry import load
from featcache.errors import DatasetError
from tests.featcache.datasets.ponds import ids, touch


def aircraft(folder: Path) -> Path:
    touch(folder / "images", "0034309.jpg", "0034310.jpg", "0000001.jpg", "0000002.jpg")
    (folder / "variants.txt").write_text("707-320\nF/A-18 Hornet\n")
    lists = {"train": "0034309 707-320\n0000001 F/A-18 Hornet\n", "val": "0034310 707-320\n"}
    for split, lines in (lists | {"test": "0000002 F/A-18 Hornet\n"}).items():
        (folder / f"images_variant_{split}.txt").write_text(lines)
    return folder


def test_aircraft(tmp_path: Path) -> None:
    aircraft(tmp_path / "fgvc_aircraft")
    dataset = load("fgvc_aircraft", tmp_path)
    assert dataset.classnames == ("707-320", "F/A-18 Hornet")
    assert ids(dataset, "train") == ["0034309.jpg", "0000001.jpg"]
    assert [item.label for item in dataset.splits["test"]] == [1]


def test_a_variant_without_training_pictures_is_named(tmp_path: Path) -> None:
    folder = aircraft(tmp_path)
    with (folder / "variants.txt").open("a") as file:
        file.write("Spitfire\n")
    with pytest.raises(DatasetError, match="no training pictures of 'Spitfire'"):
        load("fgvc_aircraft", tmp_path)


@pytest.mark.parametrize("line", ["0000003 Spitfire", "../../etc/x 707-320", "0000003"])
def test_bad_aircraft_lines_are_refused(tmp_path: Path, line: str) -> None:
    (aircraft(tmp_path) / "images_variant_val.txt").write_text(line)
    with pytest.raises(DatasetError, match="images_variant_val"):
        load("fgvc_aircraft", tmp_path)
