"""Data sets by name, spelling, root or folder."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from featcache.datasets.dataset import Dataset
from featcache.datasets.registry import load
from featcache.datasets.table import names
from featcache.errors import DatasetError, UnknownNameError
from tests.featcache.datasets.ponds import ids, pond, touch


@pytest.mark.parametrize("root", [".", "oxford_pets"])
def test_named_set_below_the_root_or_at_it(tmp_path: Path, root: str) -> None:
    pond(tmp_path / "oxford_pets", "images", "split_zhou_OxfordPets.json")
    dataset = load("OxfordPets", tmp_path / root)
    assert dataset.name == "oxford-pets"
    assert dataset.templates == ("a photo of a {}, a type of pet.",)
    assert load(str(tmp_path / "oxford_pets")).name == "oxford-pets"


def test_root_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEATCACHE_DATA", raising=False)
    with pytest.raises(DatasetError, match="--root or FEATCACHE_DATA"):
        load("ucf101")
    monkeypatch.setenv("FEATCACHE_DATA", str(tmp_path))
    with pytest.raises(DatasetError, match=r"needs split_zhou_UCF101\.json.*ucf101"):
        load("ucf101")
    pond(tmp_path / "ucf101", "UCF-101-midframes", "split_zhou_UCF101.json")
    assert load("ucf101").classnames == ("frog", "crested_newt")


def test_missing_folders_are_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="there is no folder"):
        load("eurosat", tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="there is no folder"):
        load(str(tmp_path / "nowhere"))
    with pytest.raises(UnknownNameError, match=r"did you mean.*eurosat"):
        load("eurosatt")
    with pytest.raises(UnknownNameError):
        load("")


@pytest.mark.parametrize(
    ("name", "spellings"),
    {
        "oxford-pets": ["oxford_pets", "OxfordPets", "oxford-pets"],
        "caltech101": ["caltech-101", "Caltech101"],
        "dtd": ["DTD", "DescribableTextures"],
        "food101": ["food-101", "Food101"],
        "fgvc-aircraft": ["fgvc_aircraft", "FGVCAircraft"],
        "stanford-cars": ["stanford_cars", "StanfordCars"],
        "imagenet-a": ["ImageNetA", "imagenet-adversarial"],
        "imagenet-v2": ["imagenetv2", "ImageNetV2"],
    }.items(),
)
def test_spellings(tmp_path: Path, name: str, spellings: Sequence[str]) -> None:
    for spelling in spellings:
        with pytest.raises(DatasetError, match=f"^{name} needs "):
            load(spelling, tmp_path)


def test_real_split_of_eurosat(shared_data: Path, tmp_path: Path) -> None:
    name = "eurosat/split_zhou_EuroSAT.json"
    with zipfile.ZipFile(shared_data / "eurosat.zip") as archive:
        archive.extract(name, tmp_path)
    with pytest.raises(DatasetError, match="none of the 13,500 train pictures"):
        load("eurosat", tmp_path)
    listed = json.loads((tmp_path / name).read_text())
    touch(tmp_path / "eurosat/2750", *(listed[split][0][0] for split in listed))
    check_eurosat(load("EuroSAT", tmp_path))


@pytest.mark.slow
def test_real_eurosat(shared_data: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(shared_data / "eurosat.zip") as archive:
        archive.extractall(tmp_path)
    dataset = load("eurosat", tmp_path / "eurosat")
    check_eurosat(dataset)
    for items in dataset.splits.values():
        assert all(isinstance(i.source, Path) and i.source.is_file() for i in items)
    own = load(str(tmp_path / "eurosat/2750"))
    assert sum(map(len, own.splits.values())) == 27_000


def check_eurosat(dataset: Dataset) -> None:
    info = next(info for info in names() if info.name == "eurosat")
    for split, items in dataset.splits.items():
        assert len(items) == getattr(info, split)
    assert len(dataset.classnames) == info.classes
    assert dataset.classnames[9] == "Sea or Lake"
    assert min(Counter(item.label for item in dataset.splits["train"]).values()) == 1000
    assert ids(dataset, "train")[0] == "AnnualCrop/AnnualCrop_1381.jpg"


def test_ways_of_walking_are_for_folders_of_ones_own(tmp_path: Path) -> None:
    touch(tmp_path / "in", *(f"{c}/more/{i}.jpg" for c in ("cat", "dog") for i in range(9)))
    (tmp_path / "in/owl").symlink_to(tmp_path / "in/dog/more")
    (tmp_path / "in/dog").rename(tmp_path / "out")
    (tmp_path / "in/owl").unlink()
    (tmp_path / "in/owl").symlink_to(tmp_path / "out")
    folder = str(tmp_path / "in")
    with pytest.raises(DatasetError, match="--follow-links"):
        load(folder, recursive=True)
    dataset = load(folder, recursive=True, follow_links=True)
    assert dataset.classnames == ("cat", "owl")
    assert sum(map(len, dataset.splits.values())) == 18
    for option in ({"recursive": True}, {"follow_links": True}):
        with pytest.raises(
            DatasetError, match="digits is read as it was published, and so without --"
        ):
            load("digits", **option)


def test_what_people_should_know_is_noted(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{split}/{c}/1.jpg" for split in ("train", "test") for c in ("a b", "a_b")))
    for split in ("train", "test"):
        (tmp_path / split / "a_b/1.jpg").write_text("the same")
    prompts, pictures = load(str(tmp_path)).notes
    assert "2 classes share their prompts" in prompts
    assert "1 test pictures are in train too" in pictures
    assert load("digits").notes == ()


def test_a_list_of_one_class_is_refused(tmp_path: Path) -> None:
    one = [["frog/1.jpg", 0, "frog"]]
    pond(tmp_path, train=one, val=[], test=[["frog/2.jpg", 0, "frog"]])
    with pytest.raises(DatasetError, match=r"split_zhou_Pond\.json lists one class, 'frog'"):
        load(str(tmp_path))


def test_links_in_a_named_set_are_followed_when_asked(tmp_path: Path) -> None:
    folder = pond(tmp_path / "in/oxford_pets", "images", "split_zhou_OxfordPets.json")
    (folder / "images/frog").rename(tmp_path / "out")
    (folder / "images/frog").symlink_to(tmp_path / "out")
    for name, root in (("oxford-pets", tmp_path / "in"), (str(folder), None)):
        with pytest.raises(DatasetError, match="leads out"):
            load(name, root)
        assert len(load(name, root, follow_links=True).splits["train"]) == 2
        with pytest.raises(DatasetError, match="without --recursive; leave it out"):
            load(name, root, recursive=True)
