"""Classes by wnid (`_wnids`), and ImageNet-Sketch (`wnids`), whose labels are those of ImageNet."""

from __future__ import annotations

from pathlib import Path

import pytest

from featcache.datasets.dataset import PHOTO
from featcache.datasets.layouts import _wnids, wnids
from featcache.datasets.layouts._wnids import read_classes, read_wnids
from featcache.datasets.registry import load
from featcache.errors import DatasetError
from tests.featcache.datasets.ponds import CLASSES, ids, imagenet, touch


def test_wnids_are_ranked_and_keep_their_names(tmp_path: Path) -> None:
    imagenet(tmp_path)
    assert list(read_wnids(tmp_path / CLASSES).items()) == [
        ("n00000001", "tench"),
        ("n00000002", "missile"),
        ("n00000003", "missile"),
    ]
    (tmp_path / CLASSES).write_text("n00000001 great white shark\n\n")
    assert read_wnids(tmp_path / CLASSES) == {"n00000001": "great white shark"}


@pytest.mark.parametrize(
    "line",
    ["n0000001 tench", "n000000012 tench", "m00000001 tench", "n00000001", "xn00000001 tench",
     "n00000009"],
)  # fmt: skip
def test_lines_without_wnid_and_name_are_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / CLASSES
    path.write_text(f"n00000007 newt\n{line}\n")
    with pytest.raises(DatasetError) as error:
        read_wnids(path)
    assert str(error.value) == f"{path}: the line {line!r} is not a new '<wnid> <name>'; mend it."


def test_a_wnid_stands_once(tmp_path: Path) -> None:
    path = tmp_path / CLASSES
    path.write_text("n00000001 tench\nn00000001 carp\n")
    with pytest.raises(DatasetError, match="'n00000001 carp' is not a new"):
        read_wnids(path)


def test_classes_are_read_in_the_order_of_their_labels(tmp_path: Path) -> None:
    touch(tmp_path, *(f"val/{folder}/{name}.jpg" for folder in "abc" for name in "21"))
    found = read_classes(tmp_path, "val", {"a": 2, "b": 0, "c": 1})
    assert [(item.id, item.label) for item in found] == [
        *(("val/b/1.jpg", 0), ("val/b/2.jpg", 0), ("val/c/1.jpg", 1), ("val/c/2.jpg", 1)),
        *(("val/a/1.jpg", 2), ("val/a/2.jpg", 2)),
    ]
    assert found[0].source == tmp_path / "val" / "b" / "1.jpg"
    assert [item.id for item in read_classes(tmp_path / "val", ".", dict.fromkeys("abc", 0))][
        :2
    ] == ["a/1.jpg", "a/2.jpg"]


def test_a_folder_that_is_no_class_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "val/a/1.jpg", "val/z/1.jpg")
    with pytest.raises(DatasetError) as error:
        read_classes(tmp_path, "val", {"a": 0})
    told = f"{tmp_path / 'val' / 'z'} is no class of classnames.txt; remove it."
    assert str(error.value) == told


def test_links_out_of_the_pictures_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "val/a/1.jpg", "elsewhere/1.jpg")
    (tmp_path / "val" / "b").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DatasetError, match="is a link that leads out of"):
        read_classes(tmp_path, "val", {"a": 0, "b": 1})


def test_pictures_for_test_alone_need_no_training(tmp_path: Path) -> None:
    touch(tmp_path, "b/1.jpg")
    # Not imported by its name, under which pytest would take it for a test.
    dataset = _wnids.test_only(
        tmp_path, {"a": 0, "b": 1}, {"n1": "x", "n2": "y"}, name="n", templates=["a {}."]
    )
    assert dataset.class_ids == ("n1", "n2")
    assert (dataset.name, dataset.classnames, dataset.templates) == ("n", ("x", "y"), ("a {}.",))
    assert list(dataset.splits) == ["test"]
    assert ids(dataset, "test") == ["b/1.jpg"]


def test_sketches_keep_the_labels_of_imagenet(tmp_path: Path) -> None:
    folder = imagenet(tmp_path / "imagenet-sketch", "images/n00000003/a.JPEG")
    dataset = wnids.read(folder, "images", CLASSES, name="sketch")
    assert dataset.classnames == ("tench", "missile", "missile")
    assert dataset.class_ids == ("n00000001", "n00000002", "n00000003")
    assert [(i.id, i.label) for i in dataset.splits["test"]] == [("n00000003/a.JPEG", 2)]
    assert dataset.templates == PHOTO
    named = load("imagenet-sketch", tmp_path)
    assert named.fingerprint == dataset.fingerprint


def test_a_folder_without_a_name_is_refused(tmp_path: Path) -> None:
    folder = imagenet(tmp_path, "images/n00000009/a.JPEG")
    with pytest.raises(DatasetError, match="n00000009 is no class of classnames"):
        wnids.read(folder, "images", CLASSES, name="sketch")
