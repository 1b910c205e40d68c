"""ImageNet's folders: flat, too deep, missing and unknown ones are told."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from featcache.datasets.checkup import Checkup
from featcache.datasets.checkup_folders import of_wnids
from featcache.datasets.table import DatasetInfo, named
from tests.featcache.datasets.ponds import imagenet, touch

WNIDS = ("n00000001", "n00000002", "n00000003")
WHOLE = [f"images/{part}/{w}/{i}.JPEG" for part in ("train", "val") for w in WNIDS for i in "ab"]


def info(name: str = "imagenet") -> DatasetInfo:
    found = named(name)
    assert found is not None
    return found


def told(folder: Path, name: str = "imagenet") -> tuple[Checkup, list[str]]:
    found = Checkup(name, str(folder))
    pictures = of_wnids(found, folder, info(name))
    assert len(pictures) == sum(found.there.values())
    assert all(path.is_file() for path in pictures)
    return found, [finding.what for finding in found.findings]


def test_a_whole_set_has_no_findings(tmp_path: Path) -> None:
    found, findings = told(imagenet(tmp_path, *WHOLE))
    assert findings == []
    assert (found.there, found.classes, found.viewed) == ({"train": 6, "test": 6}, 3, 6)


def test_a_flat_val_is_told(tmp_path: Path) -> None:
    folder = imagenet(tmp_path, *WHOLE)
    for i, path in enumerate(sorted((folder / "images/val").rglob("*.JPEG"))):
        path.rename(folder / f"images/val/{i}.JPEG")
    shutil.rmtree(folder / "images/val/n00000001")
    found, findings = told(folder)
    assert findings == ["images/val/ is flat: 6 pictures lie in it without a class folder"]
    assert found.there == {"train": 6, "test": 0}


@pytest.mark.parametrize("place", ["images/train/deep", "images", ".", "elsewhere"])
def test_class_folders_in_another_place_are_found(tmp_path: Path, place: str) -> None:
    folder = imagenet(tmp_path, *WHOLE)
    (folder / place).mkdir(exist_ok=True)
    for wnid in WNIDS:
        (folder / "images/train" / wnid).rename(folder / place / wnid)
    (finding,) = told(folder)[1]
    below = "the data set's own folder" if place == "." else f"{place}/"
    first = f"6 pictures in class folders lie in {below} instead of images/train/"
    assert finding.startswith(first)


def test_missing_and_unknown_classes_are_told(tmp_path: Path) -> None:
    folder = imagenet(tmp_path, *WHOLE)
    shutil.rmtree(folder / "images/train/n00000002")
    touch(folder, "images/val/frogs/1.JPEG")
    found, findings = told(folder)
    assert findings == [
        "1 class folders of images/train/ are missing or hold no pictures",
        "1 folders of images/val/ are no class",
    ]
    assert found.findings[0].paths == ("n00000002",)
    shutil.rmtree(folder / "images/val")
    assert "there is no images/val/" in told(folder)[1]


def test_variants_have_their_own_classes(tmp_path: Path) -> None:
    some = imagenet(tmp_path / "a", "imagenet-a/n00000001/1.jpg")
    assert told(some, "imagenet-a")[1] == []
    numbers = [f"imagenetv2-matched-frequency-format-val/{i}/1.jpeg" for i in range(3)]
    found, findings = told(imagenet(tmp_path / "b", *numbers), "imagenet-v2")
    assert (findings, found.there) == ([], {"test": 3})
