"""Class folders, with splits above them or divided here."""

from __future__ import annotations

from pathlib import Path

import pytest

from featcache.datasets.layouts import folders
from featcache.datasets.layouts._class_folders import Walk
from featcache.datasets.registry import load
from featcache.errors import DatasetError
from tests.featcache.datasets.ponds import ids, touch


def test_class_folders_are_divided(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{c}/{i:02}.PNG" for c in ("newt", "Frog") for i in range(10)))
    touch(tmp_path, "newt/notes.txt", "newt/.hidden.png", ".cache/x.png", "list.csv")
    dataset = folders.read(tmp_path, name="pond")
    assert dataset.classnames == ("Frog", "newt")
    assert {item.label for item in dataset.splits["test"]} == {0, 1}
    assert sum(map(len, dataset.splits.values())) == 20
    assert dataset.notes == (
        f"{tmp_path}: passed over 2 files that are no pictures by their ending (1 .csv, 1 .txt).",
    )
    assert folders.read(tmp_path, name="pond").fingerprint == dataset.fingerprint
    assert folders.read(tmp_path, name="pond", seed=2).fingerprint != dataset.fingerprint
    assert load(str(tmp_path)).fingerprint == dataset.fingerprint


def test_folders_with_splits(tmp_path: Path) -> None:
    touch(tmp_path, "train/frog/1.jpg", "train/newt/1.jpg", "test/newt/1.jpg")
    dataset = folders.read(tmp_path, name="pond")
    assert ids(dataset, "test") == ["test/newt/1.jpg"]
    assert dataset.splits["test"][0].label == 1
    assert set(dataset.splits) == {"train", "test"}
    touch(tmp_path, "test/toad/1.jpg")
    with pytest.raises(DatasetError, match=r"test/toad: no such class in train/"):
        folders.read(tmp_path, name="pond")


def test_folders_that_cannot_serve_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no class folders"):
        folders.read(tmp_path, name="pond")
    touch(tmp_path, "frog/1.jpg", "newt/1.jpg", "newt/2.jpg")
    with pytest.raises(DatasetError, match="frog holds one picture"):
        folders.read(tmp_path, name="pond")
    touch(tmp_path, "frog/2.jpg", "toads/readme.txt")
    with pytest.raises(DatasetError, match="toads holds no pictures"):
        folders.read(tmp_path, name="pond")
    touch(tmp_path, "toads/1.jpg", "toads/2.jpg")
    (tmp_path / "toad").symlink_to("/")
    with pytest.raises(DatasetError, match="link that leads out"):
        folders.read(tmp_path, name="pond")
    (tmp_path / "toad").unlink()
    touch(tmp_path, "train/frog/1.jpg")
    with pytest.raises(DatasetError, match="no test/"):
        folders.read(tmp_path, name="pond")


def test_a_folder_that_was_divided_keeps_its_pictures_where_they_are(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{c}/{i}.jpg" for c in ("frog", "newt") for i in range(30)))
    before = {
        i.id: s for s, items in folders.read(tmp_path, name="p").splits.items() for i in items
    }
    touch(tmp_path, *(f"{c}/new-{i}.jpg" for c in ("frog", "asp") for i in range(9)))
    (tmp_path / "newt/7.jpg").unlink()
    after = {i.id: s for s, items in folders.read(tmp_path, name="p").splits.items() for i in items}
    assert {id_: after[id_] for id_ in before if id_ != "newt/7.jpg"}.items() <= before.items()


@pytest.mark.parametrize(
    ("paths", "told"),
    [
        (["images/1.jpg", "images/2.jpg"], "'images', of 2 pictures; put each class"),
        (
            ["images/1.jpg", "classes.txt", "labels.txt"],
            "'images', of 1 pictures beside 'classes.txt', 'labels.txt', which are not read; put",
        ),
        (
            ["images/frog/1.jpg", "images/newt/1.jpg"],
            "'images', of the folders 'frog', 'newt'; give {0}/images if these are the classes, or",
        ),
        (["train/a/1.jpg", "test/a/1.jpg"], "{0}/train gives one class, 'a', of 1 pictures; put"),
    ],
)
def test_one_class_is_none(tmp_path: Path, paths: list[str], told: str) -> None:
    touch(tmp_path, *paths)
    for walk in (Walk(), Walk(recursive=True)):
        with pytest.raises(DatasetError) as error:
            folders.read(tmp_path, name="pond", walk=walk)
        assert told.format(tmp_path) in str(error.value)


def test_test_alone_is_a_data_set_to_score_on(tmp_path: Path) -> None:
    touch(tmp_path, "test/frog/1.jpg", "test/newt/1.jpg", "dev/newt/1.jpg")
    dataset = folders.read(tmp_path, name="pond")
    assert list(dataset.splits) == ["val", "test"]
    assert dataset.classnames == ("frog", "newt")


def test_composed_and_decomposed_names_are_one_class(tmp_path: Path) -> None:
    """What one machine writes as one sign, another writes as two."""
    touch(tmp_path, "train/e\u0301/1.jpg", "train/b/a\u0301.jpg", "test/\u00e9/1.jpg")
    dataset = folders.read(tmp_path, name="pond")
    assert dataset.classnames == ("b", "\u00e9")
    assert ids(dataset, "train") == ["train/b/\u00e1.jpg", "train/\u00e9/1.jpg"]
    for items in dataset.splits.values():
        assert all(isinstance(item.source, Path) and item.source.is_file() for item in items)


def test_ids_of_a_divided_folder_are_composed_too(tmp_path: Path) -> None:
    touch(tmp_path / "one", *(f"{c}/e\u0301{i}.jpg" for c in "ab" for i in range(9)))
    touch(tmp_path / "two", *(f"{c}/\u00e9{i}.jpg" for c in "ab" for i in range(9)))
    one, two = (folders.read(tmp_path / name, name="x") for name in ("one", "two"))
    assert one.fingerprint == two.fingerprint


def test_the_cases_of_folders(shared_cases: Path) -> None:
    assert len(folders.read(shared_cases / "layout-valid", name="x").splits["val"]) == 6
    with pytest.raises(DatasetError, match=r"'images', of 8 pictures beside 'classes.txt'"):
        folders.read(shared_cases / "layout-classes-txt", name="x")
    nested = folders.read(shared_cases / "nested", name="x")
    assert "3 pictures in inner folders ('cat/kittens'" in nested.notes[0]
    every = folders.read(shared_cases / "nested", name="x", walk=Walk(recursive=True))
    assert sum(map(len, every.splits.values())) == 9
    assert not every.notes
