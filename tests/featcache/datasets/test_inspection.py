"""Data sets looked at before they are encoded: named ones, and folders of one's own."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from featcache.datasets.checkup import Checkup
from featcache.datasets.inspection import inspect
from featcache.datasets.registry import load
from featcache.errors import DatasetError, UnknownNameError
from tests.featcache.datasets.ponds import CLASSES, SPLIT, imagenet, pond

HERE = Path(__file__).parents[3]


def told(found: Checkup) -> list[str]:
    return [finding.what for finding in found.findings if finding.wrong]


def painted(folder: Path) -> Path:
    """Every file that should be a picture is one, each another."""
    for i, path in enumerate(sorted(folder.rglob("*.jpg"))):
        Image.new("RGB", (9, 9), (i, 9 * i % 256, 0)).save(path)
    return folder


def test_what_is_sound_can_be_read(tmp_path: Path) -> None:
    """Of one's own: with a list, and in class folders."""
    listed = painted(pond(tmp_path / "listed"))
    found = inspect(str(listed))
    assert (found.sound, found.findings) == (True, [])
    assert found.there == found.listed == {"train": 2, "val": 1, "test": 2}
    assert found.opened == 5
    (listed / SPLIT).rename(tmp_path / "list.json")
    found = inspect(str(listed / "images"))
    assert found.sound
    assert found.there == {s: len(i) for s, i in load(str(listed / "images")).splits.items()}
    assert found.classes == 2
    (listed / "images/frog/1.jpg").write_text("no picture")
    assert told(inspect(str(listed / "images")))[0].startswith("1 of 5 pictures that were looked")


@pytest.mark.parametrize("by_name", [True, False])
def test_counts_are_held_against_the_published_ones(tmp_path: Path, by_name: bool) -> None:
    folder = painted(pond(tmp_path / "eurosat", "2750", "split_zhou_EuroSAT.json"))
    found = inspect("EuroSAT", tmp_path) if by_name else inspect(str(folder))
    assert found.name == "eurosat"
    assert found.published == {"train": 13_500, "val": 5_400, "test": 8_100}
    assert told(found) == [
        "2 train pictures are listed, the published set has 13,500",
        "1 val pictures are listed, the published set has 5,400",
        "2 test pictures are listed, the published set has 8,100",
        "2 classes are listed, the published set has 10",
    ]
    assert inspect("eurosat", tmp_path / "eurosat").there == found.there


def test_the_file_that_says_what_is_what_is_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="there is no folder"):
        inspect("eurosat", tmp_path / "nowhere")
    (tmp_path / "EuroSAT").mkdir()
    found = inspect("eurosat", tmp_path)
    assert told(found) == [f"{tmp_path} holds no folder eurosat/"]
    assert found.findings[0].way == "rename EuroSAT/ to eurosat/"
    (tmp_path / "EuroSAT").rename(tmp_path / "eurosat")
    found = inspect("eurosat", tmp_path)
    assert told(found) == [f"{tmp_path / 'eurosat'} holds no split_zhou_EuroSAT.json"]
    pond(tmp_path / "eurosat/more", "2750", "split_zhou_EuroSAT.json")
    way = inspect("eurosat", tmp_path).findings[0].way
    assert way.startswith("it lies in more/split_zhou_EuroSAT.json; move all that is beside it to ")


def test_lists_that_are_malformed_are_findings(tmp_path: Path) -> None:
    folder = pond(tmp_path / "eurosat", "2750", "split_zhou_EuroSAT.json")
    (folder / "split_zhou_EuroSAT.json").write_text("{")
    assert "cannot read the split file" in told(inspect("eurosat", tmp_path))[0]
    own = pond(tmp_path / "own")
    (own / SPLIT).write_text(json.dumps({"train": [["../x.jpg", 0, "frog"]]}))
    assert "does not stay in the image folder" in told(inspect(str(own)))[0]
    wnids = imagenet(tmp_path / "imagenet")
    (wnids / CLASSES).write_text("tench")
    assert "is not a new '<wnid> <name>'" in told(inspect("imagenet", tmp_path))[0]
    assert "is not a new '<wnid> <name>'" in told(inspect(str(wnids)))[0]


def test_what_the_reader_of_folders_refuses_is_a_finding(
    tmp_path: Path, shared_cases: Path
) -> None:
    with pytest.raises(DatasetError) as caught:
        load(str(shared_cases / "layout-classes-txt"))
    assert str(caught.value) in told(inspect(str(shared_cases / "layout-classes-txt")))
    found = inspect(str(shared_cases / "nested"))
    assert found.sound
    assert "pictures in inner folders" in found.findings[0].what
    with pytest.raises(DatasetError, match="there is no folder"):
        inspect(str(tmp_path / "nowhere"))
    with pytest.raises(UnknownNameError):
        inspect("eurosatt")


def test_made_sets_need_nothing() -> None:
    found = inspect("digits")
    assert found.sound
    assert found.there == found.published == {"train": 899, "val": 359, "test": 539}


def test_a_part_of_real_eurosat(shared_data: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(shared_data / "eurosat.zip") as archive:
        names = [n for n in archive.namelist() if "/River/" in n and n.endswith("0.jpg")]
        archive.extractall(tmp_path, ["eurosat/split_zhou_EuroSAT.json", *names])
    found = inspect("eurosat", tmp_path)
    assert told(found) == [
        f"{27_000 - len(names):,} listed pictures are nowhere",
        "9 of 10 classes have no picture in its place",
    ]
    assert sum(found.there.values()) == len(names)
    assert found.listed == found.published


def test_it_is_light(tmp_path: Path) -> None:
    pond(tmp_path)
    code = (
        "import sys; from featcache.datasets.inspection import inspect\n"
        f"inspect({str(tmp_path)!r})\n"
        "heavy = {'torch', 'open_clip', 'pandas', 'h5py', 'sklearn'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=HERE)
