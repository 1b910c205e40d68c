"""Folders of domains, as PACS and Office-Home lie on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from featcache.datasets.kinds.domains import read_all
from featcache.datasets.layouts._class_folders import Walk
from featcache.datasets.registry import load
from featcache.errors import DatasetError
from tests.featcache.datasets.kinds.trees import put
from tests.featcache.datasets.ponds import touch

PACS = ("art_painting", "cartoon", "photo", "sketch")


def pacs(folder: Path, classes: tuple[str, ...] = ("dog", "elephant")) -> Path:
    put(folder, *(f"{d}/{c}/pic_{n:03d}.jpg" for d in PACS for c in classes for n in range(1, 5)))
    return folder


def office(folder: Path) -> Path:
    for domain in ("Art", "Clipart", "Product", "Real World"):
        put(folder / domain, *(f"{c}/{n:05d}.jpg" for c in ("Alarm_Clock", "Bike") for n in (1, 2)))
    touch(folder, "ImageInfo.csv", "imagelist.txt")
    return folder


def test_a_data_set_a_domain_with_classes_in_one_order(tmp_path: Path) -> None:
    found = read_all(pacs(tmp_path), name="pacs", walk=Walk())
    assert [each.name for each in found] == [
        *("pacs-art-painting", "pacs-cartoon", "pacs-photo", "pacs-sketch"),
    ]
    assert {each.classnames for each in found} == {("dog", "elephant")}
    for domain, each in zip(PACS, found, strict=True):
        own = load(str(tmp_path / domain), name=each.name)
        assert (each.splits, each.fingerprint) == (own.splits, own.fingerprint)


def test_files_beside_the_domains_do_no_harm(tmp_path: Path) -> None:
    found = read_all(office(tmp_path), name="office-home", walk=Walk())
    assert [each.name for each in found][-1] == "office-home-real-world"


def test_what_a_domain_lacks_is_noted(tmp_path: Path) -> None:
    pacs(tmp_path)
    put(tmp_path / "photo", "guitar/1.jpg", "guitar/2.jpg")
    found = {each.name: each for each in read_all(tmp_path, name="pacs", walk=Walk())}
    assert found["pacs-photo"].notes == ()
    assert "lacks classes that other domains have: 'guitar'" in found["pacs-sketch"].notes[0]


def test_class_folders_are_no_domains(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no folder of two domains.*Leave out --layout domains"):
        read_all(pacs(tmp_path) / "photo", name="x", walk=Walk())
    touch(tmp_path / "one" / "a" / "b", "1.png")
    with pytest.raises(DatasetError, match="no folder of two domains"):
        read_all(tmp_path / "one", name="x", walk=Walk())


def test_two_domains_of_one_name_are_refused(tmp_path: Path) -> None:
    put(tmp_path, *(f"{d}/{c}/{n}.png" for d in ("a b", "a-b") for c in "xy" for n in (1, 2)))
    with pytest.raises(DatasetError, match="two of 'a b', 'a-b' have one name"):
        read_all(tmp_path, name="x", walk=Walk())
