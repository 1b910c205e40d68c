"""Flat pictures with `labels.txt` and `classes.txt`."""

from __future__ import annotations

from pathlib import Path

import pytest

from featcache.datasets.kind import kind_of, read
from featcache.datasets.layouts._class_folders import Walk
from featcache.errors import DatasetError
from tests.featcache.datasets.kinds.trees import put, read_as
from tests.featcache.datasets.ponds import ids

PICTURES = [f"{n}.png" for n in range(8)]


def lines(folder: Path, form: str) -> None:
    told = [form.format(p, n % 2, ("cat", "big dog")[n % 2]) for n, p in enumerate(PICTURES)]
    (folder / "labels.txt").write_text("\n".join(told))


@pytest.mark.parametrize("images", [".", "images"])
@pytest.mark.parametrize("form", ["{0} {1}", "{0}\t{2}", "{0},{2}", "{0}, {1}"])
def test_a_list_of_pictures_and_classes(tmp_path: Path, form: str, images: str) -> None:
    put(tmp_path / images, *PICTURES)
    lines(tmp_path, form)
    (tmp_path / "classes.txt").write_text("big dog\ncat\n" if "2" in form else "cat\nbig dog\n")
    dataset = read_as("flat", tmp_path)
    assert set(dataset.classnames) == {"cat", "big dog"}
    assert sorted(i for split in dataset.splits for i in ids(dataset, split)) == PICTURES
    for items in dataset.splits.values():
        for item in items:
            odd = int(item.id[0]) % 2
            assert dataset.classnames[item.label] == ("cat", "big dog")[odd]
            assert item.source == tmp_path / images / item.id


def test_a_third_word_says_the_split(tmp_path: Path) -> None:
    put(tmp_path, "a 1.png", "b.png", "c.png", "d.png")
    told = "a 1.png big dog train\nb.png cat train\nc.png cat test\nd.png big dog test\n"
    (tmp_path / "labels.txt").write_text(told)
    dataset = read_as("flat", tmp_path)
    assert ids(dataset, "train") == ["a 1.png", "b.png"]
    assert dataset.classnames == ("big dog", "cat")


def test_a_list_of_class_names_is_none(tmp_path: Path) -> None:
    put(tmp_path, *PICTURES)
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    assert kind_of(tmp_path) == ""
    with pytest.raises(DatasetError, match=r"labels\.txt line 1: 'cat' is not '<picture> <class>'"):
        read("flat", tmp_path, name="x", walk=Walk())


def test_paths_stay_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("../a.png 0\n")
    with pytest.raises(DatasetError, match="does not stay"):
        read_as("flat", tmp_path)


def test_the_case_of_a_class_list_and_flat_pictures(shared_cases: Path) -> None:
    dataset = read_as("flat", shared_cases / "layout-classes-txt")
    assert dataset.classnames == ("airport", "beach")
    assert sum(map(len, dataset.splits.values())) == 8
