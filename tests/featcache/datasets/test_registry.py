"""Data sets by name, spelling, root or folder."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from featcache.datasets.dataset import Dataset
from featcache.datasets.registry import Reading, load, load_all
from featcache.datasets.table import names
from featcache.errors import DatasetError, UnknownNameError
from tests.featcache.datasets.kinds.test_domains import pacs
from tests.featcache.datasets.kinds.trees import put, shard
from tests.featcache.datasets.ponds import POND, ids, imagenet, pond, touch


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


def test_classes_that_are_there_are_taken_when_asked(tmp_path: Path) -> None:
    """Of a list, of ImageNet's folders, and of a list of one's own."""
    toad = [["toad/1.jpg", 0, "toad"], ["toad/2.jpg", 0, "toad"]]
    later = {s: [[p, label + 1, n] for p, label, n in rows] for s, rows in POND.items()}
    lists = {s: [*toad[i : i + 1], *rows] for i, (s, rows) in enumerate(later.items())}
    pond(tmp_path / "oxford_pets", "images", "split_zhou_OxfordPets.json", **lists)
    for rows in lists.values():
        touch(tmp_path / "oxford_pets/images", *(str(path) for path, _, _ in rows))
    shutil.rmtree(tmp_path / "oxford_pets/images/toad")
    whole = load("oxford-pets", tmp_path)
    assert whole.classnames == ("toad", "frog", "crested_newt")
    assert "of 1 of 3 classes none" in whole.notes[0]
    for found in (
        load("oxford-pets", tmp_path, classes="present"),
        load(str(tmp_path / "oxford_pets"), classes="present"),
    ):
        assert found.classnames == ("frog", "crested_newt")
        assert [item.label for item in found.splits["train"]] == [1, 0]
        assert "2 of 3 classes are there" in found.notes[0]
    own = tmp_path / "oxford_pets"
    (own / "split_zhou_OxfordPets.json").rename(own / "split_zhou_Own.json")
    assert "of 1 of 3 classes none" in load(str(own)).notes[0]
    assert load(str(own), classes="present").classnames == ("frog", "crested_newt")
    some = [f"images/{part}/n0000000{w}/a.JPEG" for part in ("train", "val") for w in (1, 3)]
    folder = imagenet(tmp_path / "imagenet", *some)
    with pytest.raises(DatasetError, match="no training pictures of 'missile'"):
        load("imagenet", folder)
    found = load("imagenet", folder, classes="present")
    assert found.classnames == ("tench", "missile")
    assert [item.label for item in found.splits["test"]] == [0, 1]
    assert load("digits", classes="present") == load("digits")
    with pytest.raises(DatasetError, match="classes are all or present, not 'some'"):
        load("digits", classes="some")


def test_a_folder_can_be_named(tmp_path: Path) -> None:
    touch(tmp_path / "images", *(f"{c}/{i}.jpg" for c in ("cat", "dog") for i in range(9)))
    assert load(str(tmp_path / "images")).name == "images"
    named = load(str(tmp_path / "images"), name="My pets")
    assert named == replace(load(str(tmp_path / "images")), name="My pets")
    with pytest.raises(DatasetError, match=r"'\.\./x' cannot be a data set's name"):
        load(str(tmp_path / "images"), name="../x")
    with pytest.raises(DatasetError, match="digits has its name already; leave out --name pets"):
        load("digits", name="pets")


def test_files_and_patterns_are_data_sets_of_their_names(tmp_path: Path) -> None:
    members = [(f"{n}.{end}", b"ab"[n % 2 :][:1]) for n in range(8) for end in ("png", "cls")]
    shard(tmp_path / "My shards-0.tar", *members)
    assert load(str(tmp_path / "My shards-0.tar")).name == "my-shards-0"
    assert load(str(tmp_path / "My shards-{0..0}.tar")).name == "my-shards"
    assert load(str(tmp_path / "My shards-0.tar"), name="own").name == "own"
    with pytest.raises(DatasetError, match="no folder of classes; leave out --recursive"):
        load(str(tmp_path / "My shards-0.tar"), recursive=True)
    (tmp_path / "a.txt").touch()
    with pytest.raises(DatasetError, match="is no table and no shard"):
        load(str(tmp_path / "a.txt"))


def test_missing_pictures_of_a_table_are_told_and_left_out(tmp_path: Path) -> None:
    rows = [f"{n}.png,{'abc'[n % 3]},{'train' if n < 6 else 'test'}" for n in range(12)]
    (tmp_path / "rows.csv").write_text("\n".join(["path,class,split", *rows]))
    put(tmp_path, *(f"{n}.png" for n in range(12) if n % 3))
    found = load(str(tmp_path / "rows.csv"))
    assert "4 of 12 pictures are not there" in found.notes[0]
    assert load(str(tmp_path / "rows.csv"), classes="present").classnames == ("b", "c")


def test_a_layout_is_for_what_one_has_and_may_be_forced(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{c}/{i}.jpg" for c in ("cat", "dog") for i in range(9)))
    (tmp_path / "split_zhou_Own.json").write_text("{")
    with pytest.raises(DatasetError, match="cannot read the split file"):
        load(str(tmp_path))
    assert load(str(tmp_path), layout="folders").classnames == ("cat", "dog")
    with pytest.raises(DatasetError, match=r"labels\.txt"):
        load(str(tmp_path), layout="flat")
    with pytest.raises(DatasetError, match="digits has its layout already"):
        load("digits", layout="folders")
    with pytest.raises(UnknownNameError, match="unknown layout 'tree'"):
        load(str(tmp_path), layout="tree")


def test_all_is_one_but_for_domains(tmp_path: Path) -> None:
    touch(tmp_path / "one", *(f"{c}/{i}.jpg" for c in ("cat", "dog") for i in range(9)))
    assert load_all(str(tmp_path / "one")) == [load(str(tmp_path / "one"))]
    assert load_all("digits") == [load("digits")]
    top = pacs(tmp_path / "Mine")
    assert load_all(str(top), Reading(layout="domains"))[0].name == "mine-art-painting"
    named = load_all(str(top), Reading(layout="domains", name="own"))
    assert named[-1].name == "own-sketch"
    for wrong, why in (
        ({"name": "../x"}, "cannot be a data set's name"),
        ({"classes": "present"}, "leave out present"),
    ):
        with pytest.raises(DatasetError, match=why):
            load_all(str(top), Reading(layout="domains", **wrong))  # type: ignore[arg-type]
    with pytest.raises(DatasetError, match="a data set a domain"):
        load(str(top), layout="domains")
    with pytest.raises(DatasetError, match="has its name already"):
        load_all("pacs", Reading(top, name="x"))
