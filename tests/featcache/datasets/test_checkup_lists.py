"""A list against the files: what is missing, misplaced, spelt otherwise or not listed."""

from __future__ import annotations

from pathlib import Path

from featcache.datasets.checkup import Checkup
from featcache.datasets.checkup_lists import of_lists
from featcache.datasets.layouts import coop
from tests.featcache.datasets.ponds import SPLIT, pond, touch


def told(folder: Path, images: str = "images") -> tuple[Checkup, dict[str, tuple[str, ...]], int]:
    found = Checkup("pond", str(folder))
    pictures = of_lists(found, folder, images, *coop.listed(folder, SPLIT))
    assert all(path.is_file() for path in pictures)
    return found, {f.what: f.paths for f in found.findings}, len(pictures)


def test_a_whole_set_has_no_findings(tmp_path: Path) -> None:
    found, findings, pictures = told(pond(tmp_path))
    assert findings == {}
    assert pictures == 5
    assert found.there == found.listed == {"train": 2, "val": 1, "test": 2}
    assert (found.classes, found.viewed) == (2, 2)


def test_each_kind_is_told_apart(tmp_path: Path) -> None:
    folder = pond(tmp_path)
    touch(folder / "images", "frog/9.jpg", "readme.txt")
    (folder / "images/frog/1.jpg").rename(folder / "images/frog/1.JPG")
    (folder / "more/images/frog").mkdir(parents=True)
    (folder / "images/frog/2.jpg").rename(folder / "more/images/frog/2.jpg")
    (folder / "images/frog/3.jpg").rename(folder / "3.jpg")
    (folder / "images/newt/1.jpg").unlink()
    found, findings, pictures = told(folder)
    assert findings == {
        "1 listed pictures lie below more/images/ instead of images/": ("more/images/frog/2.jpg",),
        "1 listed pictures are spelt with other capitals": (
            "images/frog/1.JPG (listed as images/frog/1.jpg)",
        ),
        "1 listed pictures lie in another folder": ("3.jpg (listed as images/frog/3.jpg)",),
        "1 listed pictures are nowhere": ("images/newt/1.jpg",),
        "1 of 2 classes have no picture in its place": ("frog",),
        "1 pictures are not listed, and will not be read": ("images/frog/9.jpg",),
    }
    assert pictures == 1
    assert [finding.wrong for finding in found.findings] == [True] * 5 + [False]
    assert found.there == {"train": 1, "val": 0, "test": 0}


def test_one_folder_too_deep_is_one_finding(tmp_path: Path) -> None:
    folder = pond(tmp_path)
    (folder / "images").rename(tmp_path / "moved")
    (folder / "images").mkdir()
    (tmp_path / "moved").rename(folder / "images/images")
    _, findings, _ = told(folder)
    assert len(findings) == 1
    assert "5 listed pictures lie below images/images/ instead of images/" in findings


def test_paths_from_the_folder_itself(tmp_path: Path) -> None:
    folder = pond(tmp_path, images=".")
    assert told(folder, ".")[1] == {}
