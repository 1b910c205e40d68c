"""The official layout of Bongard-HOI, on a world written in it and on hand-made lists."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featcache.datasets.dataset import Dataset, Item
from featcache.datasets.layouts.bongard_hoi import SPLITS, file_of, words
from featcache.datasets.registry import load
from featcache.datasets.table import named
from featcache.datasets.worlds import relations
from featcache.errors import DatasetError
from featcache.pictures.decode import cropped, decode

LIST = "bongard_hoi_val_seen_obj_unseen_act.json"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The world of relations as a folder, two problems a split."""
    folder = tmp_path_factory.mktemp("root") / "bongard_hoi"
    folder.mkdir()
    relations.write(folder, problems=2)
    return folder


@pytest.fixture
def tree(written: Path, tmp_path: Path) -> Path:
    """A copy that may be changed."""
    return Path(shutil.copytree(written, tmp_path / "bongard_hoi"))


def world() -> Dataset:
    info = named("relations")
    assert info
    return relations.make(info, problems=2)


def test_the_world_comes_back_from_disk_pixel_by_pixel(written: Path) -> None:
    made, read = world(), load("bongard-hoi", written.parent)
    assert read.problems == made.problems == 7
    assert tuple(read.splits) == tuple(made.splits) == SPLITS
    assert read.classnames == made.classnames
    assert read.flip is False
    assert read.notes == ()
    for split in SPLITS:
        assert [i.label for i in read.splits[split]] == [i.label for i in made.splits[split]]
        for ours, theirs in zip(made.splits[split], read.splits[split], strict=True):
            assert isinstance(theirs.source, Path)
            assert not isinstance(ours.source, Path)
            pixels = cropped(decode(theirs.source), theirs.box)
            np.testing.assert_array_equal(pixels, ours.source.pixels())
    items = [item for split in read.splits.values() for item in split]
    assert len({item.id for item in items}) == len(items)
    assert all(
        item.id.endswith("#{:.0f},{:.0f},{:.0f},{:.0f}".format(*box(item))) for item in items
    )


def test_the_tree_has_what_makes_the_official_one_hard(written: Path) -> None:
    files = {file.parent.relative_to(written).as_posix() for file in written.rglob("*.png")}
    assert {f"images/{folder}" for folder in relations.FOLDERS} == files
    moved = smaller = 0
    for split in SPLITS:
        for *sides, concept in json.loads((written / file_of(split)).read_text()):
            assert "++" in concept
            for picture in (*sides[0], *sides[1]):
                assert set(picture) == {"im_path", "crop_bbox", "sub_bbox", "obj_bbox"}
                moved += not (written / "images" / picture["im_path"]).exists()
                left, _, right, _ = picture["crop_bbox"]
                smaller += right - left == 40
    assert moved > 3
    assert smaller > 3


def test_a_folder_of_ones_own_is_known_by_its_lists(tree: Path) -> None:
    other = tree.rename(tree.parent / "release")
    assert load(str(other)).name == "bongard-hoi"
    assert load(str(other)).fingerprint == load("bongard-hoi", other).fingerprint


def test_the_pickle_of_the_detector_is_not_opened(tree: Path) -> None:
    os.mkfifo(tree / "hico_faster_rcnn_R_101_DC5_3x_objectness.pkl")  # to open it would not end
    assert load("bongard-hoi", tree).problems == 7


def test_missing_pictures_are_counted_and_keep_their_rows(tree: Path) -> None:
    whole = load("bongard-hoi", tree)
    gone = [whole.splits["val-seen-seen"][0], whole.splits["test-unseen-seen"][20]]
    for item in gone:
        Path(str(item.source)).unlink()
    read = load("bongard-hoi", tree)
    assert read.fingerprint == whole.fingerprint
    first = min(item.id.partition("#")[0] for item in gone)
    assert read.notes == (
        f"bongard-hoi: 2 of 224 pictures are not below {tree / 'images'}, the first is {first}; "
        "problems that need them cannot be scored, so fetch them.",
    )


def test_boxes_are_whole_pixels_and_those_of_open_images_are_enlarged(tree: Path) -> None:
    def change(problems: list[Any]) -> None:
        paths = ("hcvrd/a.jpg", "./openimages/images/b.jpg")
        for place, path in enumerate(paths):
            picture = {"im_path": path, "crop_bbox": [-3, 10.9, 33, 35]}
            problems[0][0][place] = picture

    changed(tree, change)
    first, second = load("bongard-hoi", tree).splits["val-seen-unseen"][:2]
    assert first.id == "hcvrd/a.jpg#-3,10,33,35"
    assert first.box == (-3, 10, 33, 35)
    assert second.id == "openimages/images/b.jpg#-4,17,52,56"
    assert second.box == (-4, 17, 52, 56)


def test_a_crop_may_stand_in_several_problems(tree: Path) -> None:
    changed(tree, lambda problems: problems.append(problems[0]))
    shutil.copy(tree / LIST, tree / file_of("test-seen-seen"))
    read = load("bongard-hoi", tree)
    rows = read.splits["val-seen-unseen"]
    assert len(rows) == 42
    assert rows[:14] == rows[28:]


def test_the_first_list_is_that_of_the_concept(tree: Path) -> None:
    """As the official reader has it; others take the second."""
    listed = json.loads((tree / LIST).read_text())
    rows = load("bongard-hoi", tree).splits["val-seen-unseen"]
    for number, (positives, negatives, _) in enumerate(listed):
        for place, picture in enumerate([*positives, *negatives]):
            assert rows[14 * number + place].id.startswith(picture["im_path"][2:] + "#")


def test_links_out_of_the_folder_are_refused_unless_followed(tree: Path, tmp_path: Path) -> None:
    elsewhere = (tree / "images/hcvrd").rename(tmp_path / "hcvrd")
    (tree / "images/hcvrd").symlink_to(elsewhere)
    with pytest.raises(DatasetError, match=r"leads out of .*--follow-links"):
        load("bongard-hoi", tree)
    assert load("bongard-hoi", tree, follow_links=True).notes == ()


def test_concepts_are_spoken() -> None:
    assert words("sit_on++dining_table") == "sit on dining table"
    assert words("ride++bicycle") == "ride bicycle"


def in_first(key: str, value: object) -> Callable[[list[Any]], object]:
    """Change the first picture of the first problem."""
    return lambda problems: problems[0][0][0].__setitem__(key, value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda p: p.clear(), "is not a list of problems"),
        (lambda p: p.insert(0, {}), r"problem 0 is not \[positives, negatives, concept\]"),
        (lambda p: p[1].pop(), r"problem 1 is not \[positives, negatives, concept\]"),
        (lambda p: p[0].__setitem__(2, 7), "the concept 7 is not one line"),
        (lambda p: p[0].__setitem__(2, "++"), r"the concept '\+\+' is not one line"),
        (lambda p: p[0].__setitem__(2, "a\nb"), "is not one line"),
        (lambda p: p[0][1].pop(), "problem 0, negatives: there should be a list of 7"),
        (lambda p: p[0].__setitem__(0, None), "problem 0, positives: there should be a list of 7"),
        (lambda p: p[0][0].__setitem__(3, "x.jpg"), "entry 3 is not an object with im_path"),
        (in_first("im_path", None), "the path None is not plain text"),
        (in_first("im_path", "../x.jpg"), "does not stay in the image folder"),
        (in_first("im_path", "/etc/passwd"), "does not stay in the image folder"),
        (in_first("im_path", "C:/x.jpg"), "does not stay in the image folder"),
        (in_first("im_path", "a\0.jpg"), "is not plain text"),
        (in_first("crop_bbox", None), "crop_bbox None is not four numbers"),
        (in_first("crop_bbox", [1, 2, 3]), "is not four numbers"),
        (in_first("crop_bbox", [1, 2, 3, "4"]), "is not four numbers"),
        (in_first("crop_bbox", [1, 2, True, 4]), "is not four numbers"),
        (in_first("crop_bbox", [float("nan"), 0, 1, 1]), "is not four numbers"),
        (in_first("crop_bbox", [0, 0, float("inf"), 1]), "is not four numbers"),
        (in_first("crop_bbox", [0, 0, 10**400, 1]), "is not four numbers"),
    ],
)
def test_hostile_lists_are_one_sentence(
    tree: Path, change: Callable[[list[Any]], object], told: str
) -> None:
    changed(tree, change)
    with pytest.raises(DatasetError, match=told) as caught:
        load("bongard-hoi", tree)
    assert LIST in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", [b"", b"[", b"\xff\xfe", b"[" * 100_000, b"{}", b"1"])
def test_what_is_no_list_is_one_sentence(tree: Path, text: bytes) -> None:
    (tree / LIST).write_bytes(text)
    with pytest.raises(DatasetError, match=f"{LIST}.*fetch the annotations again"):
        load("bongard-hoi", tree)


def test_a_missing_list_or_missing_pictures_are_told(tree: Path) -> None:
    shutil.rmtree(tree / "images")
    with pytest.raises(DatasetError, match="none of the 28 val-seen-seen pictures exists"):
        load("bongard-hoi", tree)
    (tree / LIST).unlink()
    with pytest.raises(DatasetError, match=rf"cannot read the problems .*{LIST} \(No such file"):
        load("bongard-hoi", tree)
    (tree / "bongard_hoi_test_seen_obj_seen_act.json").unlink()
    with pytest.raises(DatasetError, match=r"needs bongard_hoi_test.*docs/encoding\.md"):
        load("bongard-hoi", tree)


def changed(tree: Path, change: Callable[[list[Any]], object]) -> None:
    """Read, change and write a list."""
    problems = json.loads((tree / LIST).read_text())
    change(problems)
    (tree / LIST).write_text(json.dumps(problems))


def box(item: Item) -> tuple[float, ...]:
    assert item.box is not None
    return item.box
